/* Orders that wait for a price; see core.h and docs/matching.md. */

#include "core.h"

void core_price_event(struct core *c, uint32_t place, uint32_t kind, int64_t price_ticks) {
    (void)c;
    (void)place;
    (void)kind;
    (void)price_ticks;
}

void core_look_at_prices(struct core *c, uint32_t place) {
    (void)c;
    (void)place;
}

void core_decide_queued(struct core *c, uint32_t slot) {
    (void)c;
    (void)slot;
}
