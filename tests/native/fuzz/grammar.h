/* Writes command records from a few bytes each, so that whoever changes bytes at random still asks well-formed things.
 *
 * What commands there are, and what fields, comes from gen/c/fields.h: a new kind of command with plain fields is one line
 * in MESSAGES (grammar_values.c), a new field none at all, unless its values should be near others': then a line in `ranges`.
 *
 *   record    a byte how many batches, a byte how much later, batches
 *   batch     a byte where it travels (and its number, if that is not the next), a byte how many commands, commands
 *   command   a byte what kind, a byte whose, and a byte or nine for each field in the order of the contract
 *   field     0: what is usual; up to 0xdf: from a short range; up to 0xef: where limits lie; above: eight bytes more
 *
 * A batch that core_check would not let through is mended until it does, or left out: what is malformed is the business of
 * another target. Ids of orders, sessions' numbers and times are taken from the core as it stands, so that they hit. */

#ifndef BOURSE_GRAMMAR_H
#define BOURSE_GRAMMAR_H

#include "core.h"
#include "fuzz.h"

#define GRAMMAR_RECORD_BYTES 262144u
#define GRAMMAR_SESSIONS 8u

/* A number that a field has, whatever the input says. */
struct grammar_given {
    const char *field;
    uint64_t value;
};

struct grammar {
    const struct core *core;
    struct fuzz_input input;
    const struct grammar_given *given; /* up to the one without a field; or NULL */
    uint32_t account;                  /* of the last command */
    uint32_t salt;                     /* makes the commands of a burst differ */
    uint64_t requests;                 /* ids given */
    int64_t time_us;
    uint64_t planned[GRAMMAR_SESSIONS][2]; /* sessions and their last numbers in the record being made */
};

/* A command record, and the time the log gives it. The bytes are the grammar's, until the next one. */
struct grammar_record {
    uint8_t *bytes;
    uint32_t length;
    int64_t time_us;
};

void grammar_begin(struct grammar *grammar, const struct core *core, struct fuzz_input input);

/* The next record from the input. */
struct grammar_record grammar_next(struct grammar *grammar);

/* Many commands in one batch, of one shape: enough to fill pools, and parts. */
struct grammar_record grammar_burst(struct grammar *grammar);

/* One command of this kind (COMMAND_PLACE_ORDER and so on) in a batch of its own, in the first session; or, for credits and
 * debits, from source 1. Fields not among the given ones are as usual. */
struct grammar_record grammar_command(struct grammar *grammar, uint32_t kind, const struct grammar_given *given);

/* The records that most runs begin with: a session, assets, markets, money. NULL bytes after the last. */
struct grammar_record grammar_opening(struct grammar *grammar, uint32_t index);

#endif
