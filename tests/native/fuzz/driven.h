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

/* The newest version of the rules. */
void driven_use_rules(struct driven *driven, struct grammar *grammar);

/* Open a core with a little of everything that these rules know. */
void driven_world(struct driven *driven, struct grammar *grammar, uint32_t rules);

/* Apply a well-formed record. */
void driven_apply(struct driven *driven, struct grammar_record record);

/* Apply a record of which some bytes may be wrong. */
void driven_apply_spoiled(struct driven *driven, struct grammar_record record);

/* The whole snapshot, in pieces of this capacity at least; the caller's to free. */
uint8_t *driven_snapshot(const core *core, uint32_t capacity, size_t *length);

/* Go on with a core restored from a snapshot, the present one beside it. */
void driven_restore(struct driven *driven, uint32_t capacity);

/* Restore bytes that may be no snapshot; what is let in must hold together, be written as it was read, and go on with what the
 * input says. If all that is wrong is the hash at the end, it is put right, and tried again. Returns the last result. */
int driven_restore_any(uint8_t *bytes, size_t length, struct fuzz_input input);

/* Ask everything that can be asked, by choice. */
void driven_ask(const struct driven *driven, struct fuzz_input *input);

#endif
