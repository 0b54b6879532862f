/* The kill switches of accounts and markets; see core.h and docs/matching.md. */

#include "core.h"

void core_kill(struct core *c) { c->progress.verdict.refusal = REFUSAL_RULES_TOO_OLD; }
