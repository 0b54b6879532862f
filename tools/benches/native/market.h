/* A core with a market in it, and commands for it, however records are written (record.h).
 *
 * Money is far more than any order needs: nothing is refused for want of it. */

#ifndef BOURSE_BENCH_MARKET_H
#define BOURSE_BENCH_MARKET_H

#include <stdio.h>

#include "record.h"
#include "scenarios.h"

/* Commands in one record: one batch. */
#define MARKET_BATCH 1024u
/* The first account; they are numbered on from here. */
#define MARKET_FIRST_ACCOUNT 1000u

/* A core, and buffers for what it is told and what it says. */
struct market {
    core *core;
    FILE *copy; /* every record that is applied, behind its length in four bytes; or NULL */
    uint64_t records;
    struct core_part part;
    struct codec_command *commands; /* room for MARKET_BATCH; `count` of them are waiting */
    uint32_t count;
    uint8_t *record;
    uint32_t record_length;
    uint64_t batch; /* number of the last one in the session */
    uint32_t instruments;
    /* Of the record that was applied last. */
    uint32_t parts;
    uint64_t ns;              /* all its parts */
    uint64_t longest_part_ns; /* one call of core_apply */
    uint64_t event_bytes;
    uint64_t answer_bytes;
};

/* A new core with two assets, a session, so many instruments, and so many accounts with money. `copy` as in the
 * struct. Ends the process if it cannot. */
struct market *market_open(uint32_t instruments, uint32_t accounts, FILE *copy);
void market_close(struct market *market);

/* Room for another command, all zero but for its kind and its account (0 is the first one). Applies what waits if the batch
 * is full, so what it returns is the caller's until the next call. */
struct codec_command *market_next(struct market *market, uint32_t kind, uint32_t account);

/* Put an order: GTC, or IOC. Instruments count from 0. */
void market_place(struct market *market, uint32_t instrument, uint32_t account, uint8_t side, int64_t price_ticks, int64_t lots,
                  bool is_ioc);

/* Put a message of a scenario, for instrument 0. */
void market_message(struct market *market, const struct message *message);

/* Write what waits as the next record; market_apply applies it, and market_flush does both. */
void market_write(struct market *market);
void market_apply(struct market *market);
void market_flush(struct market *market);

/* Apply a record with nothing but a tick: what one takes whatever is in it. */
void market_tick(struct market *market);

#endif
