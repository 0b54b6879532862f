/* A shard that stops because its replicas do not agree, and goes on again; see core.h and docs/matching.md. */

#include "core.h"

void core_halt(struct core *c) {
    struct core_verdict *verdict = &c->progress.verdict;
    verdict->refusal = REFUSAL_RULES_TOO_OLD;
    if (c->rules < CORE_RULES_HALT) return;
    verdict->refusal = REFUSAL_SETTING_INVALID;
    if (c->progress.command->halt.sequence < c->resume_sequence) return;
    verdict->refusal = REFUSAL_UNSPECIFIED;
    if (!core_is_halted(c)) c->halt_sequence = c->sequence;
}

void core_resume(struct core *c) {
    struct core_verdict *verdict = &c->progress.verdict;
    verdict->refusal = REFUSAL_EXPIRED_IN_TRANSIT;
    if (core_is_expired(c)) return;
    verdict->refusal = REFUSAL_RULES_TOO_OLD;
    if (c->rules < CORE_RULES_HALT) return;
    verdict->refusal = REFUSAL_SETTING_INVALID;
    if (!core_is_halted(c) || c->progress.command->resume.sequence != c->halt_sequence) return;
    verdict->refusal = REFUSAL_UNSPECIFIED;
    c->resume_sequence = c->sequence;
}

void core_end_halt(struct core *c) {
    if (c->resume_sequence > c->halt_sequence) c->halt_sequence = 0;
}

void core_halt_image(const struct core *c, uint64_t image[CORE_HALT_WORDS]) {
    image[0] = c->halt_sequence;
    image[1] = c->resume_sequence;
}

uint64_t core_halt_hash(const struct core *c) {
    uint64_t image[CORE_HALT_WORDS];
    core_halt_image(c, image);
    return core_has_halted(c) ? hash_words(HASH_HALT, image, CORE_HALT_WORDS) : 0;
}
