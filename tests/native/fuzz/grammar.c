/* See grammar.h: commands, batches, records. */

#include <string.h>

#include "codec_wire.h"
#include "grammar_inner.h"

/* ---- Commands ------------------------------------------------------------------------------------------------------- */

/* A batch being written: its head is chosen, its commands come one by one. */
struct batch {
    uint64_t session, number;
    uint32_t source;
    bool is_over; /* nothing may follow */
    uint8_t *body;
    uint8_t *end;
};

static uint8_t *put_head(uint8_t *at, const struct batch *batch) {
    if (batch->session) at = wire_put(grammar_put_tag(at, SUBMIT_REQUEST_SESSION, WIRE_VARINT), batch->session);
    if (batch->number) at = wire_put(grammar_put_tag(at, SUBMIT_REQUEST_NUMBER, WIRE_VARINT), batch->number);
    if (batch->source) at = wire_put(grammar_put_tag(at, SUBMIT_REQUEST_SOURCE, WIRE_VARINT), batch->source);
    return at;
}

#define MOST_COMMAND 4096u

/* A command of this kind with these fields, its envelope drawn already. Returns its end. */
static uint8_t *put_command(uint8_t *at, struct values *envelope, const struct field *kind, const struct values *body) {
    uint8_t fields[MOST_PIECES], whole[MOST_COMMAND];
    uint8_t *end = grammar_put_values(fields, kind->of, body);
    struct values copy = *envelope;
    grammar_set_piece(&copy, kind->number, fields, (uint32_t)(end - fields));
    end = grammar_put_command(whole, &copy);
    at = wire_put(grammar_put_tag(at, SUBMIT_REQUEST_COMMANDS, WIRE_LENGTH), (uint64_t)(end - whole));
    memcpy(at, whole, (size_t)(end - whole));
    return at + (end - whole);
}

/* Would this be a batch, all by itself? */
static bool is_let_through(const struct batch *batch, const uint8_t *command, const uint8_t *end) {
    uint8_t bytes[MOST_COMMAND + 64];
    uint8_t *at = put_head(bytes, batch);
    memcpy(at, command, (size_t)(end - command));
    at += end - command;
    struct core_batch found;
    uint32_t where;
    return core_check(bytes, (uint32_t)(at - bytes), &found, &where) == CORE_OK;
}

/* Put the command behind the batch's others, field after field left out until it is let through, or not at all. */
static void put_mended(struct batch *batch, struct values *envelope, const struct field *kind, struct values *body) {
    uint32_t left = kind->of->count;
    uint8_t *end = put_command(batch->end, envelope, kind, body);
    while (!is_let_through(batch, batch->end, end) && left-- > 0) {
        uint32_t number = kind->of->fields[left].number;
        body->numbers[number] = 0;
        body->pieces[number].length = 0;
        end = put_command(batch->end, envelope, kind, body);
    }
    if (!is_let_through(batch, batch->end, end)) return;
    batch->end = end;
    batch->is_over = kind->number == COMMAND_CLOSE_SESSION;
}

/* Whose, until when; and now and then why. */
static void draw_envelope(struct grammar *g, struct values *envelope, bool is_odd) {
    uint8_t id[CODEC_REQUEST_ID] = {0};
    uint8_t choice = fuzz_byte(&g->input);
    if (choice >= 0xf0) g->account = (uint32_t)fuzz_edge(choice);
    else if (choice != 0) g->account = choice % 32 == 31 ? RISK_FEE_ACCOUNT : 1000 + (choice + g->salt) % 7;
    wire_store(id, ++g->requests);
    if (is_odd) grammar_draw_envelope(g, envelope);
    grammar_set_piece(envelope, COMMAND_REQUEST_ID, id, sizeof id);
    envelope->numbers[COMMAND_ACCOUNT] = g->account;
}

/* Kinds by the low five bits of a byte, in the order of the contract; what is too many places an order. */
static const struct field *kind_of(uint32_t choice) {
    const struct field *kind = grammar_kind(COMMAND_PLACE_ORDER + choice);
    return kind ? kind : grammar_kind(COMMAND_PLACE_ORDER);
}

/* The kind of a command in this batch: from a source credits and debits, outside of both one that travels alone. */
static const struct field *draw_kind(const struct batch *batch, uint8_t choice) {
    const struct field *kind = kind_of(choice & 31);
    if (batch->source) return grammar_kind(choice & 3 ? COMMAND_CREDIT : COMMAND_DEBIT);
    if (!batch->session && choice >= 0xf8) return grammar_kind(COMMAND_HALT);
    if (!batch->session) return grammar_kind(choice & 3 ? COMMAND_OPEN_SESSION : COMMAND_TICK);
    if (kind->number == COMMAND_HALT) return grammar_kind(COMMAND_PLACE_ORDER);
    bool is_elsewhere = kind->number >= COMMAND_CREDIT && kind->number <= COMMAND_TICK && kind->number != COMMAND_CLOSE_SESSION;
    return is_elsewhere ? grammar_kind(COMMAND_PLACE_ORDER) : kind;
}

static void draw_command(struct grammar *g, struct batch *batch, const struct field *kind, bool is_odd) {
    uint8_t pieces[2][MOST_PIECES];
    struct values envelope = {.room = pieces[0], .end = pieces[1]};
    struct values body = {.room = pieces[1], .end = pieces[1] + MOST_PIECES};
    draw_envelope(g, &envelope, is_odd);
    grammar_draw_body(g, kind, &envelope, &body);
    put_mended(batch, &envelope, kind, &body);
}

/* ---- Batches -------------------------------------------------------------------------------------------------------- */

/* The last number of a session, those in this record before its end included. */
static uint64_t *planned_number(struct grammar *g, uint64_t session) {
    const struct session *open = session_find(&g->core->sessions, session);
    for (uint32_t i = 0; i < GRAMMAR_SESSIONS; i++) {
        uint64_t *planned = g->planned[i];
        if (planned[0] != 0 && planned[0] != session) continue;
        if (planned[0] == 0) planned[1] = open ? open->last_number : 0;
        planned[0] = session;
        return &planned[1];
    }
    return &g->planned[0][1];
}

/* In a session mostly, under its next number mostly. */
static void choose_head(struct grammar *g, struct batch *batch, uint8_t choice) {
    const struct sessions *sessions = &g->core->sessions;
    uint64_t *planned;
    if (choice % 8 >= 5 && choice % 8 <= 6) {
        batch->source = 1 + choice / 8 % 3;
        planned = planned_number(g, UINT64_MAX - batch->source);
        if (*planned == 0) *planned = sessions->sources[batch->source];
    } else if (choice % 8 < 5 && sessions->count > 0) {
        batch->session = sessions->sessions[sessions->places[choice / 8 % sessions->count]].id;
        planned = planned_number(g, batch->session);
    } else {
        return;
    }
    batch->number = *planned + 1;
    if (choice >= 0xe0) batch->number += fuzz_number(&g->input) - 8;
    if (choice >= 0xf8) batch->session = batch->session ? fuzz_number(&g->input) : 0;
}

static void close_head(struct grammar *g, const struct batch *batch, uint32_t commands) {
    uint64_t *planned = NULL;
    if (batch->source) planned = planned_number(g, UINT64_MAX - batch->source);
    else if (batch->session) planned = planned_number(g, batch->session);
    if (planned && batch->number > *planned) *planned = batch->number + (batch->source ? commands - 1 : 0);
}

/* ---- Records -------------------------------------------------------------------------------------------------------- */

static uint8_t record_bytes[GRAMMAR_RECORD_BYTES];
static uint8_t batch_bytes[GRAMMAR_RECORD_BYTES];

static uint8_t *begin_record(struct grammar *g) {
    memset(g->planned, 0, sizeof g->planned);
    return wire_put(grammar_put_tag(record_bytes, COMMAND_RECORD_SHARD, WIRE_VARINT), g->core->shard);
}

static struct batch begin_batch(void) {
    return (struct batch){.body = batch_bytes, .end = batch_bytes};
}

/* Put the batch behind the record's others, if anything is in it and it is one. */
static uint8_t *put_batch(struct grammar *g, uint8_t *at, const struct batch *batch) {
    uint8_t head[64];
    uint32_t head_length = (uint32_t)(put_head(head, batch) - head);
    uint32_t length = head_length + (uint32_t)(batch->end - batch->body);
    if (batch->end == batch->body || record_bytes + sizeof record_bytes - at < length + 64) return at;
    uint8_t *body = wire_put(grammar_put_tag(at, COMMAND_RECORD_REQUESTS, WIRE_LENGTH), length);
    memcpy(body, head, head_length);
    memcpy(body + head_length, batch->body, (size_t)(batch->end - batch->body));
    struct core_batch found;
    uint32_t where;
    if (core_check(body, length, &found, &where) != CORE_OK) return at;
    close_head(g, batch, found.commands);
    return body + length;
}

/* Up to 32 commands. Eight of the 32 places in a byte's low bits are commands with an envelope that is filled in. */
static uint8_t *draw_batch(struct grammar *g, uint8_t *at) {
    struct batch batch = begin_batch();
    choose_head(g, &batch, fuzz_byte(&g->input));
    uint32_t commands = 1 + fuzz_byte(&g->input) % (batch.session || batch.source ? 32 : 1);
    for (; commands > 0 && !batch.is_over && !fuzz_is_over(&g->input); commands--) {
        uint8_t choice = fuzz_byte(&g->input);
        draw_command(g, &batch, draw_kind(&batch, choice), choice >= 0xe0);
    }
    return put_batch(g, at, &batch);
}

static struct grammar_record end_record(const struct grammar *g, const uint8_t *at) {
    return (struct grammar_record){record_bytes, (uint32_t)(at - record_bytes), g->time_us};
}

/* A moment later, mostly; sometimes so much that sessions and names are over; sometimes earlier. */
static void pass_time(struct grammar *g, uint8_t choice) {
    static const int64_t steps_us[] = {0, 1, 1000, 1000000, 30000000, 121000000, 601000000, -5000000};
    uint64_t later_us = (uint64_t)g->time_us + (uint64_t)steps_us[choice % 8];
    g->time_us = choice >= 0xfc ? (int64_t)fuzz_number(&g->input) : (int64_t)later_us;
}

void grammar_begin(struct grammar *g, const struct core *core, struct fuzz_input input) {
    *g = (struct grammar){.core = core, .input = input, .account = 1000, .time_us = INT64_C(1700000000000000)};
}

struct grammar_record grammar_next(struct grammar *g) {
    uint8_t *at = begin_record(g);
    uint8_t choice = fuzz_byte(&g->input);
    pass_time(g, fuzz_byte(&g->input));
    for (uint32_t batches = choice % 4; batches > 0 || choice % 4 == 0; batches--) {
        at = draw_batch(g, at);
        if (choice % 4 == 0) break;
    }
    return end_record(g, at);
}

struct grammar_record grammar_burst(struct grammar *g) {
    uint8_t *at = begin_record(g);
    struct batch batch = begin_batch();
    choose_head(g, &batch, fuzz_byte(&g->input));
    uint32_t commands = batch.session || batch.source ? 8u + 2 * fuzz_byte(&g->input) : 1;
    uint8_t choice = fuzz_byte(&g->input);
    struct fuzz_input shape = g->input;
    for (g->salt = 0; g->salt < commands && batch.end < batch_bytes + sizeof batch_bytes - 2 * MOST_COMMAND; g->salt++) {
        g->input = shape;
        if (!batch.is_over) draw_command(g, &batch, draw_kind(&batch, choice), choice >= 0xe0);
    }
    g->salt = 0;
    return end_record(g, put_batch(g, at, &batch));
}

struct grammar_record grammar_command(struct grammar *g, uint32_t kind, const struct grammar_given *given) {
    struct fuzz_input input = g->input;
    g->input.at = g->input.end;
    uint8_t *at = begin_record(g);
    struct batch batch = begin_batch();
    bool is_alone = kind == COMMAND_OPEN_SESSION || kind == COMMAND_TICK || kind == COMMAND_HALT;
    choose_head(g, &batch, is_alone ? 7 : kind == COMMAND_CREDIT || kind == COMMAND_DEBIT ? 5 : 0);
    g->given = given;
    draw_command(g, &batch, grammar_kind(kind), false);
    g->given = NULL;
    g->input = input;
    return end_record(g, put_batch(g, at, &batch));
}

/* ---- The opening ---------------------------------------------------------------------------------------------------- */

#define OPENING_ASSETS 3u
#define OPENING_ACCOUNTS 6u

/* In the second market rebates are paid and no fees taken, so that the fee account is soon empty. */
static void open_world(struct grammar *g, struct batch *batch) {
    struct grammar_given given[] = {{"asset", 0},          {"code", 0},         {"symbol", 0}, {"base_asset", 0},
                                    {"maker_fee_ppm", 0}, {"taker_fee_ppm", 0}, {NULL, 0}};
    g->given = given;
    for (uint32_t asset = 1; asset <= OPENING_ASSETS; asset++) {
        given[0].value = given[1].value = asset;
        draw_command(g, batch, grammar_kind(COMMAND_ADD_ASSET), false);
    }
    for (uint32_t base = 1; base <= OPENING_ASSETS; base += 2) {
        given[2].value = given[3].value = base;
        given[4].value = (uint64_t)(base == 1 ? -300 : -20000);
        given[5].value = base == 1 ? 1000 : 0;
        draw_command(g, batch, grammar_kind(COMMAND_ADD_INSTRUMENT), false);
    }
    g->given = NULL;
}

static void open_money(struct grammar *g, struct batch *batch) {
    struct grammar_given given[] = {{"asset", 0}, {NULL, 0}};
    g->given = given;
    for (uint32_t i = 0; i < OPENING_ACCOUNTS * OPENING_ASSETS; i++) {
        given[0].value = 1 + i % OPENING_ASSETS;
        g->account = 1000 + i / OPENING_ASSETS;
        draw_command(g, batch, grammar_kind(COMMAND_CREDIT), false);
    }
    g->given = NULL;
}

struct grammar_record grammar_opening(struct grammar *g, uint32_t index) {
    struct fuzz_input input = g->input;
    g->input.at = g->input.end;
    uint8_t *at = begin_record(g);
    struct batch batch = begin_batch();
    choose_head(g, &batch, index == 0 ? 7 : index == 1 ? 0 : 5);
    if (index == 0) draw_command(g, &batch, grammar_kind(COMMAND_OPEN_SESSION), false);
    if (index == 1) open_world(g, &batch);
    if (index == 2) open_money(g, &batch);
    at = put_batch(g, at, &batch);
    g->input = input;
    return index > 2 ? (struct grammar_record){NULL, 0, 0} : end_record(g, at);
}
