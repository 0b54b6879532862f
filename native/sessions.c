/* Sessions of order entry and sources of money; see sessions.h. */

#include "sessions.h"

void session_image(const struct session *session, uint64_t image[SESSION_WORDS]) {
    image[0] = session->id;
    image[1] = session->last_number;
    image[2] = (uint64_t)session->last_us;
    image[3] = 0;
}

static uint64_t session_hash(const struct session *session) {
    uint64_t image[SESSION_WORDS];
    session_image(session, image);
    return hash_words(HASH_SESSION, image, SESSION_WORDS);
}

static uint64_t batch_hash(const struct session *session, const struct session_batch *batch) {
    uint64_t image[4] = {session->id, batch->number, batch->offset, 0};
    return hash_words(HASH_SESSION_BATCH, image, 4);
}

static uint64_t source_hash(uint32_t source, uint64_t number) {
    uint64_t image[2] = {source, number};
    return number == 0 ? 0 : hash_words(HASH_SOURCE, image, 2);
}

/* Does the ring still remember what stands here? Numbers grow by any step, so old ones may stand around. */
static bool is_remembered(const struct session *session, const struct session_batch *batch) {
    return batch->number != 0 && session->last_number - batch->number < SESSION_RING;
}

static uint64_t ring_hash(const struct session *session) {
    uint64_t hash = 0;
    for (uint32_t i = 0; i < SESSION_RING; i++) {
        if (is_remembered(session, &session->ring[i])) hash += batch_hash(session, &session->ring[i]);
    }
    return hash;
}

bool sessions_open(struct sessions *sessions, uint32_t room) {
    *sessions = (struct sessions){.oldest_us = INT64_MAX};
    return sessions_reserve(sessions, room);
}

void sessions_close(struct sessions *sessions) {
    free(sessions->sessions);
    free(sessions->places);
    *sessions = (struct sessions){0};
}

bool sessions_reserve(struct sessions *sessions, uint32_t room) {
    if (room <= sessions->room) return true;
    uint32_t *places = array_grow(sessions->places, sizeof *places, sessions->room, room);
    if (!places) return false;
    sessions->places = places;
    struct session *grown = array_grow(sessions->sessions, sizeof *grown, sessions->room, room);
    if (!grown) return false;
    sessions->sessions = grown;
    for (uint32_t place = sessions->room; place < room; place++) places[place] = place;
    sessions->room = room;
    return true;
}

/* Where an id stands among the open ones, or where it would. */
static uint32_t rank_of(const struct sessions *sessions, uint64_t id) {
    uint32_t low = 0;
    uint32_t high = sessions->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (sessions->sessions[sessions->places[middle]].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct session *session_find(const struct sessions *sessions, uint64_t id) {
    uint32_t rank = rank_of(sessions, id);
    if (rank == sessions->count) return NULL;
    struct session *session = &sessions->sessions[sessions->places[rank]];
    return session->id == id ? session : NULL;
}

void session_begin(struct sessions *sessions, uint64_t id, int64_t now_us) {
    assert(sessions->count < sessions->room);
    struct session *session = &sessions->sessions[sessions->places[sessions->count++]];
    memset(session, 0, sizeof *session);
    session->id = id;
    session->last_us = now_us;
    if (now_us < sessions->oldest_us) sessions->oldest_us = now_us;
    sessions->hash += session_hash(session);
}

/* Close the open session of this rank. */
static void end_rank(struct sessions *sessions, uint32_t rank) {
    uint32_t place = sessions->places[rank];
    const struct session *session = &sessions->sessions[place];
    sessions->hash -= session_hash(session) + ring_hash(session);
    sessions->count--;
    memmove(&sessions->places[rank], &sessions->places[rank + 1], (sessions->count - rank) * sizeof *sessions->places);
    sessions->places[sessions->count] = place;
}

void session_end(struct sessions *sessions, uint64_t id) {
    uint32_t rank = rank_of(sessions, id);
    assert(rank < sessions->count && sessions->sessions[sessions->places[rank]].id == id);
    end_rank(sessions, rank);
}

void sessions_expire(struct sessions *sessions, int64_t now_us) {
    if (sessions->oldest_us >= now_us - SESSION_IDLE_US) return;
    sessions->oldest_us = INT64_MAX;
    uint32_t rank = 0;
    while (rank < sessions->count) {
        int64_t last_us = sessions->sessions[sessions->places[rank]].last_us;
        if (last_us < now_us - SESSION_IDLE_US) {
            end_rank(sessions, rank);
            continue;
        }
        if (last_us < sessions->oldest_us) sessions->oldest_us = last_us;
        rank++;
    }
}

void sessions_bring_forward(struct sessions *sessions, int64_t latest_us) {
    for (uint32_t rank = 0; rank < sessions->count; rank++) {
        struct session *session = &sessions->sessions[sessions->places[rank]];
        if (session->last_us <= latest_us) continue;
        sessions->hash -= session_hash(session);
        session->last_us = latest_us;
        sessions->hash += session_hash(session);
    }
    if (latest_us < sessions->oldest_us) sessions->oldest_us = latest_us;
}

/* Take out of the hash what the ring will no longer remember when `number` is its last. */
static void forget_passed(struct sessions *sessions, const struct session *session, uint64_t number) {
    uint64_t step = number - session->last_number;
    for (uint64_t i = 0; i < step && i < SESSION_RING; i++) {
        const struct session_batch *batch = &session->ring[(session->last_number + 1 + i) % SESSION_RING];
        if (is_remembered(session, batch)) sessions->hash -= batch_hash(session, batch);
    }
}

void session_apply(struct sessions *sessions, struct session *session, uint64_t number, uint64_t offset, int64_t now_us) {
    assert(number > session->last_number);
    sessions->hash -= session_hash(session);
    forget_passed(sessions, session, number);
    struct session_batch *batch = &session->ring[number % SESSION_RING];
    *batch = (struct session_batch){number, offset};
    session->last_number = number;
    session->last_us = now_us;
    if (now_us < sessions->oldest_us) sessions->oldest_us = now_us;
    sessions->hash += session_hash(session) + batch_hash(session, batch);
}

enum session_memory session_recall(const struct session *session, uint64_t number, uint64_t *offset) {
    const struct session_batch *batch = &session->ring[number % SESSION_RING];
    if (session->last_number - number >= SESSION_RING) return SESSION_TOO_OLD;
    if (batch->number != number) return SESSION_PASSED_OVER;
    *offset = batch->offset;
    return SESSION_APPLIED;
}

void source_apply(struct sessions *sessions, uint32_t source, uint64_t number) {
    sessions->hash += source_hash(source, number) - source_hash(source, sessions->sources[source]);
    sessions->sources[source] = number;
}

uint32_t session_remembered(const struct session *session, struct session_batch remembered[SESSION_RING]) {
    uint32_t count = 0;
    for (uint64_t i = 1; i <= SESSION_RING; i++) {
        const struct session_batch *batch = &session->ring[(session->last_number + i) % SESSION_RING];
        if (is_remembered(session, batch)) remembered[count++] = *batch;
    }
    return count;
}

#define CHECK(rule) \
    do { \
        if (!(rule)) return __LINE__; \
    } while (0)

int sessions_validate(const struct sessions *sessions) {
    uint64_t hash = 0;
    uint64_t last_id = 0;
    CHECK(sessions->count <= sessions->room && sessions->sources[0] == 0);
    for (uint32_t rank = 0; rank < sessions->count; rank++) {
        const struct session *session = &sessions->sessions[sessions->places[rank]];
        CHECK(session->id > last_id && session->last_us >= sessions->oldest_us);
        for (uint32_t i = 0; i < SESSION_RING; i++) {
            CHECK(session->ring[i].number <= session->last_number);
            CHECK(session->ring[i].number == 0 || session->ring[i].number % SESSION_RING == i);
        }
        hash += session_hash(session) + ring_hash(session);
        last_id = session->id;
    }
    for (uint32_t source = 1; source < SESSION_SOURCES; source++) hash += source_hash(source, sessions->sources[source]);
    CHECK(hash == sessions->hash);
    return 0;
}
