/* Call auctions: the price, the trades, what would be traded now; see core.h and docs/matching.md. */

#include "core.h"

bool core_state_auctions(struct core *c) {
    (void)c;
    return true;
}
