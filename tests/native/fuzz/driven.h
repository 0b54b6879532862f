/* A core, and what records are applied to it: each checked for all that can be said without knowing what it should do.
 *
 *   after each record the validator finds nothing;
 *   each part lies in buffers of exactly the size that is promised, the record elsewhere in memory for each part;
 *   a record that is refused changes nothing;
 *   a core restored from a snapshot is equal, writes the same snapshot, and makes the same of what follows. */

#ifndef BOURSE_DRIVEN_H
#define BOURSE_DRIVEN_H

#include "fuzz.h"
#include "grammar.h"

struct driven {
    core *core;
    core *twin; /* that `core` was restored from, given the same since; or NULL */
};

void driven_open(struct driven *driven, uint32_t shard);
void driven_close(struct driven *driven);

/* What most runs begin with: see grammar_opening. */
void driven_begin(struct driven *driven, struct grammar *grammar);

/* Apply a well-formed record. */
void driven_apply(struct driven *driven, struct grammar_record record);

/* Apply a record of which some bytes may be wrong. */
void driven_apply_spoiled(struct driven *driven, struct grammar_record record);

/* The whole snapshot, in pieces of this capacity at least; the caller's to free. */
uint8_t *driven_snapshot(const core *core, uint32_t capacity, size_t *length);

/* Go on with a core restored from a snapshot, the present one beside it. */
void driven_restore(struct driven *driven, uint32_t capacity);

/* Ask everything that can be asked, by choice. */
void driven_ask(const struct driven *driven, struct fuzz_input *input);

#endif
