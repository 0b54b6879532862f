/* Sessions of order entry, and the numbers of the sources of money.
 *
 * A session is known by the sequence of the command that opened it, remembers the number and the time of its last applied
 * batch, and for its last 256 numbers which of them were applied, and in which record. Their places stand in one array by
 * ascending id, which is the order in which they are opened: finding one is a binary search among a few hundred, closing one
 * moves the places behind it up.
 *
 * 4 KB a session. */

#ifndef BOURSE_SESSIONS_H
#define BOURSE_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "hash.h"
#include "table.h"

/* How many of its numbers a session remembers; a power of two. */
#define SESSION_RING 256u
/* A session without a batch for longer than this is closed. */
#define SESSION_IDLE_US INT64_C(600000000)
/* Sources are numbered from 1. */
#define SESSION_SOURCES 256u

/* Where a number was applied. In the ring it stands at number mod 256, and is remembered while number > last - 256. */
struct session_batch {
    uint64_t number; /* 0: none */
    uint64_t offset;
};

struct session {
    uint64_t id;
    uint64_t last_number; /* 0 before the first batch */
    int64_t last_us;
    struct session_batch ring[SESSION_RING];
};

struct sessions {
    struct session *sessions;
    uint32_t *places; /* of the open ones by ascending id, then of the free ones */
    uint32_t count, room;
    int64_t oldest_us; /* no session's last_us is below this */
    uint64_t sources[SESSION_SOURCES]; /* the last number of each */
    uint64_t hash;
};

/* Room for so many. False: no memory; then sessions_close all the same. */
bool sessions_open(struct sessions *sessions, uint32_t room);
void sessions_close(struct sessions *sessions);

/* More room, never less. False: no memory, and all is as it was. */
bool sessions_reserve(struct sessions *sessions, uint32_t room);

/* The open session with this id, or NULL. Valid until the next session_begin, session_end or sessions_expire. */
struct session *session_find(const struct sessions *sessions, uint64_t id);

/* Open a session. Its id is above all others', and there is room. */
void session_begin(struct sessions *sessions, uint64_t id, int64_t now_us);

/* Close the open session with this id. */
void session_end(struct sessions *sessions, uint64_t id);

/* Close those whose last batch is more than SESSION_IDLE_US ago. */
void sessions_expire(struct sessions *sessions, int64_t now_us);

/* Last batches later than this are at this time from now on. */
void sessions_bring_forward(struct sessions *sessions, int64_t latest_us);

/* A batch is applied: its number, above the last, becomes the last. */
void session_apply(struct sessions *sessions, struct session *session, uint64_t number, uint64_t offset, int64_t now_us);

/* What the session knows of a number at or below its last. */
enum session_memory { SESSION_TOO_OLD, SESSION_PASSED_OVER, SESSION_APPLIED };
enum session_memory session_recall(const struct session *session, uint64_t number, uint64_t *offset);

/* A source's last number becomes this. */
void source_apply(struct sessions *sessions, uint32_t source, uint64_t number);

/* The image of a session, without what it remembers of numbers. */
#define SESSION_WORDS 4
void session_image(const struct session *session, uint64_t image[SESSION_WORDS]);

/* What it remembers of numbers, ascending; returns how many. */
uint32_t session_remembered(const struct session *session, struct session_batch remembered[SESSION_RING]);

/* Ids ascend, rings fit their last numbers, hash computed afresh. 0, or the line of the broken rule in sessions.c. */
int sessions_validate(const struct sessions *sessions);

#endif
