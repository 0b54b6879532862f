/* Command records to measure a core with, in whichever form the core reads them.
 *
 * record_wire.c writes them as the log has them, in protobuf's wire format. codec_fixed.c writes and reads them as arrays of
 * structs instead: a core linked with it in place of codec_read.c and codec_write.c is the same core without a wire format. */

#ifndef BOURSE_BENCH_RECORD_H
#define BOURSE_BENCH_RECORD_H

#include "codec.h"

/* What commands travel in. Without session and source: alone. */
struct travel {
    uint64_t session;
    uint64_t number;
    uint32_t source;
};

/* Room for one command in a record, whatever its kind, and for what stands around all of them. */
#define RECORD_COMMAND_BYTES (sizeof(struct codec_command) + 512)
#define RECORD_HEAD_BYTES 128

/* Write a record with one batch. There is room for as many commands. Returns its length. */
uint32_t record_write(uint8_t *at, struct travel travel, const struct codec_command *commands, uint32_t count);

/* Let a command add this instrument, which stays where it is until the record is written and applied. A command carries one as it
 * was sent; one that has not been written yet carries the struct in that place. */
static inline void record_market(struct codec_command *command, const struct codec_instrument *instrument) {
    command->add_instrument.sent = (struct codec_bytes){(const uint8_t *)instrument, sizeof *instrument};
}
static inline const struct codec_instrument *record_market_of(const struct codec_command *command) {
    return (const struct codec_instrument *)(const void *)command->add_instrument.sent.at;
}

/* What this form is called. */
extern const char *const record_form;

#endif
