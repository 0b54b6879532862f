/* The memory of client order ids; see names.h. */

#include "names.h"

void names_image(const struct name *name, uint64_t image[NAMES_WORDS]) {
    image[0] = name->order_id;
    image[1] = name->body;
    image[2] = (uint64_t)name->ended_us;
    image[3] = name->account;
    for (uint32_t i = 0; i < 5; i++) image[4 + i] = hash_load(name->text.bytes + 8 * i);
    image[9] = 0;
}

static uint64_t name_hash(const struct name *name) {
    uint64_t image[NAMES_WORDS];
    names_image(name, image);
    return hash_words(HASH_NAME, image, NAMES_WORDS);
}

static uint32_t name_check(uint32_t account, const struct names_text *text) {
    uint64_t sum = (uint64_t)account * HASH_SPREAD;
    for (uint32_t i = 0; i < NAMES_TEXT_BYTES; i += 8) {
        sum = (sum ^ hash_load(text->bytes + i)) * HASH_SPREAD;
        sum ^= sum >> 32;
    }
    return hash_fold(sum);
}

bool names_open(struct names *names, uint32_t room) {
    *names = (struct names){0};
    return names_reserve(names, room);
}

void names_close(struct names *names) {
    free(names->names);
    free(names->table.entries);
    *names = (struct names){0};
}

bool names_reserve(struct names *names, uint32_t room) {
    if (room <= names->room) return true;
    if (!table_reserve(&names->table, room)) return false;
    struct name *grown = array_grow(names->names, sizeof *grown, (size_t)names->fresh + 1, (size_t)room + 1);
    if (!grown) return false;
    names->names = grown;
    names->room = room;
    return true;
}

uint32_t names_find(const struct names *names, uint32_t account, const struct names_text *text) {
    uint32_t check = name_check(account, text);
    uint32_t at = table_home(&names->table, check);
    uint32_t place;
    while ((place = table_next(&names->table, check, &at)) != NAMES_NONE) {
        const struct name *name = &names->names[place];
        if (name->account == account && memcmp(&name->text, text, sizeof *text) == 0) return place;
    }
    return NAMES_NONE;
}

void names_warm(const struct names *names, uint32_t account, const struct names_text *text) {
    table_warm(&names->table, name_check(account, text));
}

uint32_t names_add(struct names *names, uint32_t account, const struct names_text *text, uint64_t order_id, uint64_t body) {
    uint32_t place = names->free;
    if (place != NAMES_NONE) {
        names->free = names->names[place].later;
    } else {
        place = ++names->fresh;
        assert(place <= names->room);
    }
    struct name *name = &names->names[place];
    *name = (struct name){order_id, body, NAMES_OPEN, account, NAMES_NONE, *text};
    table_put(&names->table, name_check(account, text), place);
    names->count++;
    names->hash += name_hash(name);
    return place;
}

void names_end(struct names *names, uint32_t place, int64_t now_us) {
    struct name *name = &names->names[place];
    assert(name->ended_us == NAMES_OPEN && now_us >= 0);
    assert(names->last_ended == NAMES_NONE || names->names[names->last_ended].ended_us <= now_us);
    names->hash -= name_hash(name);
    name->ended_us = now_us;
    names->hash += name_hash(name);
    if (names->last_ended == NAMES_NONE) {
        names->first_ended = place;
    } else {
        names->names[names->last_ended].later = place;
    }
    names->last_ended = place;
    names->ended++;
}

/* Give up the first of the ended names. */
static void forget_first(struct names *names) {
    uint32_t place = names->first_ended;
    struct name *name = &names->names[place];
    names->hash -= name_hash(name);
    table_drop(&names->table, name_check(name->account, &name->text), place);
    names->count--;
    names->ended--;
    names->first_ended = name->later;
    if (names->first_ended == NAMES_NONE) names->last_ended = NAMES_NONE;
    name->later = names->free;
    names->free = place;
}

void names_forget(struct names *names, int64_t before_us) {
    while (names->first_ended != NAMES_NONE && names->names[names->first_ended].ended_us < before_us) forget_first(names);
}

void names_bring_forward(struct names *names, int64_t latest_us) {
    for (uint32_t place = names->first_ended; place != NAMES_NONE; place = names->names[place].later) {
        struct name *name = &names->names[place];
        if (name->ended_us <= latest_us) continue;
        names->hash -= name_hash(name);
        name->ended_us = latest_us;
        names->hash += name_hash(name);
    }
}

#define CHECK(rule) \
    do { \
        if (!(rule)) return __LINE__; \
    } while (0)

/* The list of ended names: in order, ended, and *ended of them. */
static int validate_ended(const struct names *names, uint32_t *ended) {
    int64_t last_us = 0;
    uint32_t last = NAMES_NONE;
    for (uint32_t place = names->first_ended; place != NAMES_NONE; place = names->names[place].later) {
        CHECK(place <= names->fresh && ++*ended <= names->count);
        CHECK(names->names[place].ended_us >= last_us);
        last_us = names->names[place].ended_us;
        last = place;
    }
    CHECK(last == names->last_ended);
    return 0;
}

int names_validate(const struct names *names, uint32_t *open) {
    uint32_t ended = 0;
    uint64_t hash = 0;
    *open = 0;
    CHECK(names->count == names->table.count && names->count <= names->fresh && names->fresh <= names->room);
    int line = validate_ended(names, &ended);
    if (line != 0) return line;
    for (uint64_t i = 0; i <= table_mask(&names->table); i++) {
        uint32_t place = names->table.entries[i].place;
        if (place == NAMES_NONE) continue;
        CHECK(place <= names->fresh);
        const struct name *name = &names->names[place];
        CHECK(names_find(names, name->account, &name->text) == place);
        CHECK(names_length(&name->text) >= 1 && names_length(&name->text) <= NAMES_MOST_BYTES);
        *open += name->ended_us == NAMES_OPEN;
        hash += name_hash(name);
    }
    CHECK(ended == names->ended && ended + *open == names->count && hash == names->hash);
    return 0;
}
