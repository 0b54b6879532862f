/* Replays a command log through the core, so that builds by different compilers can be compared.
 *
 *     replay LOG     of each record: the log's time and its length, lowest byte first, in 8 and 4 bytes; itself
 *
 * A line for each record: how many parts it made, digests of all event bytes and all answers, the state hash and the
 * balance hash after it. Ends with 1 where a record is refused, or the validator finds something at the end. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core_api.h"

static uint64_t mix(uint64_t sum, const uint8_t *bytes, uint32_t length) {
    /* FNV-1a (Fowler, Noll, Vo) */
    for (uint32_t i = 0; i < length; i++) sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static struct core_part part;

static int replay(core *core, uint64_t offset, int64_t time_us, const uint8_t *record, uint32_t length) {
    uint64_t events = UINT64_C(0xcbf29ce484222325), answers = events;
    uint32_t parts = 0;
    do {
        int result = core_apply(core, offset, time_us, record, length, parts++, &part);
        if (result != CORE_OK) return result;
        events = mix(events, part.events, part.events_length);
        answers = mix(answers, part.answers, part.answers_length);
        for (uint32_t i = 0; i < part.index_length; i++) {
            struct core_answer *one = &part.index[i];
            uint8_t words[] = {(uint8_t)one->batch, (uint8_t)one->status, (uint8_t)one->done, (uint8_t)one->length};
            answers = mix(answers, words, sizeof words);
        }
    } while (!part.last);
    struct core_facts facts;
    core_facts(core, &facts);
    printf("%" PRIu32 " %016" PRIx64 " %016" PRIx64 " %016" PRIx64 " %016" PRIx64 "\n", parts, events, answers, facts.state_hash,
           facts.balance_hash);
    return CORE_OK;
}

/* A number of so many bytes; false at the end of the log. */
static int take(FILE *log, int bytes, uint64_t *number) {
    uint8_t read[8];
    if (fread(read, 1, (size_t)bytes, log) != (size_t)bytes) return 0;
    *number = 0;
    for (int i = 0; i < bytes; i++) *number |= (uint64_t)read[i] << 8 * i;
    return 1;
}

int main(int argc, char **argv) {
    FILE *log = argc == 2 ? fopen(argv[1], "rb") : NULL;
    core *core = NULL;
    part.events = malloc(CORE_PART_BYTES);
    part.answers = malloc(CORE_ANSWER_BYTES);
    part.index = malloc(CORE_MAX_BATCHES * sizeof *part.index);
    if (!log || core_new(0, &core) != CORE_OK) return 2;
    uint64_t time_us, length;
    for (uint64_t offset = 0; take(log, 8, &time_us) && take(log, 4, &length); offset++) {
        uint8_t *record = malloc(length ? length : 1);
        if (!record || fread(record, 1, length, log) != length) return 2;
        if (replay(core, offset, (int64_t)time_us, record, (uint32_t)length) != CORE_OK) return 1;
        free(record);
    }
    int broken = core_validate(core);
    core_free(core);
    fclose(log);
    return broken != 0;
}
