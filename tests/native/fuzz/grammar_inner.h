/* What grammar.c and grammar_values.c share. */

#ifndef BOURSE_GRAMMAR_INNER_H
#define BOURSE_GRAMMAR_INNER_H

#include "grammar.h"

enum kind {
    UINT32, UINT64, INT32, INT64, SINT32, SINT64, BOOL, ENUM, STRING, BYTES, MESSAGE, REPEATED_MESSAGE, ONEOF_MESSAGE,
};

struct message;
struct range;
struct field {
    const char *name;
    uint32_t number;
    enum kind kind;
    uint32_t last; /* of an enum */
    const struct message *of;
    const struct range *range; /* of a number, once it was looked for */
};
struct message {
    struct field *fields;
    uint32_t count;
};
#define MOST_FIELDS 40u

/* A message under construction: numbers by field, and what has a length, encoded with its tag. */
struct values {
    uint64_t numbers[MOST_FIELDS];
    struct codec_bytes pieces[MOST_FIELDS];
    uint8_t *room; /* for pieces */
    uint8_t *end;
};
#define MOST_PIECES 2048u

/* The field of Command with this number, if it is one of the kinds; or NULL. */
const struct field *grammar_kind(uint32_t number);

/* What was given for the field, or NULL. */
const struct grammar_given *grammar_given_for(const struct grammar *g, const char *field);

/* Values for all fields of a message, from the input. */
void grammar_draw(struct grammar *g, const struct message *message, struct values *values);

/* Values for what stands around all kinds. */
void grammar_draw_envelope(struct grammar *g, struct values *values);

/* Values for the body of a command, such that they go with each other; the account in the envelope may have to go. */
void grammar_draw_body(struct grammar *g, const struct field *kind, struct values *envelope, struct values *body);

/* Give a field bytes of its own. */
void grammar_set_piece(struct values *values, uint32_t number, const void *bytes, uint32_t length);

/* Write a tag, a message, a command. Each returns the end. */
uint8_t *grammar_put_tag(uint8_t *at, uint32_t number, uint32_t type);
uint8_t *grammar_put_values(uint8_t *at, const struct message *message, const struct values *values);
uint8_t *grammar_put_command(uint8_t *at, const struct values *values);

#endif
