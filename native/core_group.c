/* Groups of orders, links between them, and replacing one by another; see core.h and docs/matching.md. */

#include "core.h"

void core_follow_link(struct core *c, struct core_link link) {
    (void)c;
    (void)link;
}

void core_replace_order(struct core *c) { c->progress.verdict.refusal = REFUSAL_RULES_TOO_OLD; }

void core_place_group(struct core *c) { c->progress.verdict.refusal = REFUSAL_RULES_TOO_OLD; }
