/* See grammar.h: bodies of commands whose fields go with each other, orders above all. What codec_shape.c would not let through is
 * made so that it does; what is left over grammar.c mends by leaving out. */

#include "grammar_inner.h"

/* What goes with what of an order's fields; the rest is mended by leaving out. */
static void shape_price(uint64_t *order) {
    uint64_t type = order[PLACE_ORDER_TYPE];
    if (type == ORDER_TYPE_LIMIT || type == ORDER_TYPE_STOP_LIMIT || type == ORDER_TYPE_TAKE_PROFIT_LIMIT) {
        order[PLACE_ORDER_QUOTE_MINOR] = order[PLACE_ORDER_PROTECTION_TICKS] = 0;
        if (order[PLACE_ORDER_PRICE_TICKS] == 0) order[PLACE_ORDER_PRICE_TICKS] = 100;
        return;
    }
    order[PLACE_ORDER_TIME_IN_FORCE] = TIME_IN_FORCE_IOC;
    order[PLACE_ORDER_POST_ONLY] = order[PLACE_ORDER_PRICE_TICKS] = order[PLACE_ORDER_DISPLAY_LOTS] = 0;
    order[PLACE_ORDER_MIN_FILL_LOTS] = 0;
    if (order[PLACE_ORDER_QUOTE_MINOR] != 0) order[PLACE_ORDER_QUANTITY_LOTS] = 0;
}

static void shape_trigger(uint64_t *order) {
    bool waits = order[PLACE_ORDER_TYPE] > ORDER_TYPE_MARKET;
    bool is_trailing = order[PLACE_ORDER_TYPE] == ORDER_TYPE_TRAILING_STOP;
    if (!waits || is_trailing) order[PLACE_ORDER_TRIGGER_TICKS] = 0;
    if (waits && !is_trailing && order[PLACE_ORDER_TRIGGER_TICKS] == 0) order[PLACE_ORDER_TRIGGER_TICKS] = 101;
    if (!waits) order[PLACE_ORDER_TRIGGER_BY] = 0;
    if (!is_trailing) order[PLACE_ORDER_TRAIL_TICKS] = order[PLACE_ORDER_TRAIL_PPM] = order[PLACE_ORDER_ACTIVATION_TICKS] = 0;
    if (is_trailing && order[PLACE_ORDER_TRAIL_TICKS] != 0) order[PLACE_ORDER_TRAIL_PPM] = 0;
}

static void shape_time(uint64_t *order) {
    bool is_limit = order[PLACE_ORDER_TYPE] == ORDER_TYPE_LIMIT;
    uint64_t force = order[PLACE_ORDER_TIME_IN_FORCE];
    if (force != TIME_IN_FORCE_GTD) order[PLACE_ORDER_EXPIRES_US] = 0;
    if (force == TIME_IN_FORCE_IOC || force == TIME_IN_FORCE_FOK) order[PLACE_ORDER_DISPLAY_LOTS] = order[PLACE_ORDER_POST_ONLY] = 0;
    if (!is_limit || force == TIME_IN_FORCE_GFA) order[PLACE_ORDER_POST_ONLY] = 0;
    bool is_free = is_limit && !order[PLACE_ORDER_POST_ONLY] && force != TIME_IN_FORCE_FOK && force != TIME_IN_FORCE_GFA;
    if (!is_free) order[PLACE_ORDER_MIN_FILL_LOTS] = 0;
}

static void shape_order(struct values *values) {
    uint64_t *order = values->numbers;
    if (order[PLACE_ORDER_SIDE] == 0) order[PLACE_ORDER_SIDE] = SIDE_SELL;
    if (order[PLACE_ORDER_TYPE] == 0) order[PLACE_ORDER_TYPE] = ORDER_TYPE_LIMIT;
    if (order[PLACE_ORDER_TIME_IN_FORCE] == 0) order[PLACE_ORDER_TIME_IN_FORCE] = TIME_IN_FORCE_GTC;
    shape_price(order);
    shape_trigger(order);
    shape_time(order);
}

/* By id or by name. */
static void shape_named(struct values *values, uint32_t id, uint32_t name) {
    if (values->pieces[name].length != 0) values->numbers[id] = 0;
    else if (values->numbers[id] == 0) values->numbers[id] = CORE_SHARDS;
}

/* ---- Orders in others ----------------------------------------------------------------------------------------------- */

/* An order inside another message, and room for what of it has a length. */
struct inner {
    struct values values;
    uint8_t pieces[MOST_PIECES / 4];
};

static void draw_inner_order(struct grammar *g, struct inner *order) {
    order->values = (struct values){.room = order->pieces, .end = order->pieces + sizeof order->pieces};
    grammar_draw(g, grammar_kind(COMMAND_PLACE_ORDER)->of, &order->values);
    shape_order(&order->values);
}

static void put_inner_order(struct values *body, uint32_t number, const struct inner *order) {
    uint8_t bytes[MOST_PIECES / 2];
    uint8_t *end = grammar_put_values(bytes, grammar_kind(COMMAND_PLACE_ORDER)->of, &order->values);
    grammar_set_piece(body, number, bytes, (uint32_t)(end - bytes));
}

static void draw_replacement(struct grammar *g, struct values *body) {
    struct inner order;
    struct values named = {.room = order.pieces, .end = order.pieces + sizeof order.pieces};
    grammar_draw(g, grammar_kind(COMMAND_CANCEL_ORDER)->of, &named);
    shape_named(&named, CANCEL_ORDER_ORDER_ID, CANCEL_ORDER_CLIENT_ORDER_ID);
    body->numbers[REPLACE_ORDER_ORDER_ID] = named.numbers[CANCEL_ORDER_ORDER_ID];
    struct codec_bytes name = named.pieces[CANCEL_ORDER_CLIENT_ORDER_ID];
    if (name.length != 0) grammar_set_piece(body, REPLACE_ORDER_CLIENT_ORDER_ID, name.at + 2, name.length - 2);
    draw_inner_order(g, &order);
    put_inner_order(body, REPLACE_ORDER_ORDER, &order);
}

static bool is_waiting(const uint64_t *order) { return order[PLACE_ORDER_TYPE] > ORDER_TYPE_MARKET; }

/* One of an OCO: rests without trading, or waits. */
static void shape_leg(struct inner *leg, bool must_wait) {
    uint64_t *order = leg->values.numbers;
    if (must_wait) order[PLACE_ORDER_TYPE] = ORDER_TYPE_STOP_LIMIT;
    if (!is_waiting(order)) order[PLACE_ORDER_TYPE] = ORDER_TYPE_LIMIT;
    shape_order(&leg->values);
    if (is_waiting(order)) return;
    if (order[PLACE_ORDER_TIME_IN_FORCE] != TIME_IN_FORCE_GTD) order[PLACE_ORDER_TIME_IN_FORCE] = TIME_IN_FORCE_GTC;
    order[PLACE_ORDER_POST_ONLY] = 1;
    order[PLACE_ORDER_MIN_FILL_LOTS] = 0;
}

/* An exit of a bracket: on the other side of the same market, its quantity to come. */
static void shape_exit(struct inner *exit, const uint64_t *entry, bool must_wait) {
    uint64_t *order = exit->values.numbers;
    order[PLACE_ORDER_INSTRUMENT] = entry[PLACE_ORDER_INSTRUMENT];
    order[PLACE_ORDER_SIDE] = SIDE_BUY + SIDE_SELL - entry[PLACE_ORDER_SIDE];
    if (order[PLACE_ORDER_TYPE] == ORDER_TYPE_MARKET || (must_wait && !is_waiting(order))) order[PLACE_ORDER_TYPE] = ORDER_TYPE_STOP;
    if (!is_waiting(order)) order[PLACE_ORDER_TIME_IN_FORCE] = TIME_IN_FORCE_GTC;
    order[PLACE_ORDER_POST_ONLY] = 0;
    shape_order(&exit->values);
    order[PLACE_ORDER_QUANTITY_LOTS] = order[PLACE_ORDER_QUOTE_MINOR] = 0;
    order[PLACE_ORDER_DISPLAY_LOTS] = order[PLACE_ORDER_MIN_FILL_LOTS] = 0;
}

static void shape_entry(struct inner *entry) {
    uint64_t *order = entry->values.numbers;
    if (is_waiting(order)) order[PLACE_ORDER_TYPE] = ORDER_TYPE_LIMIT;
    shape_order(&entry->values);
    order[PLACE_ORDER_QUOTE_MINOR] = 0;
    if (order[PLACE_ORDER_QUANTITY_LOTS] == 0) order[PLACE_ORDER_QUANTITY_LOTS] = 5;
}

/* Two orders of which one cancels the other, or an entry with one exit or two. */
static void draw_group(struct grammar *g, struct values *body) {
    struct inner first, second, third;
    uint8_t choice = fuzz_byte(&g->input);
    const struct grammar_given *given = grammar_given_for(g, "kind");
    if (given) choice = given->value == GROUP_KIND_BRACKET;
    bool is_pair = choice % 2 == 0, has_third = choice % 4 == 1;
    draw_inner_order(g, &first);
    draw_inner_order(g, &second);
    if (has_third) draw_inner_order(g, &third);
    const uint64_t *leads = first.values.numbers;
    if (is_pair) {
        shape_leg(&first, false);
        second.values.numbers[PLACE_ORDER_INSTRUMENT] = leads[PLACE_ORDER_INSTRUMENT];
        second.values.numbers[PLACE_ORDER_SIDE] = leads[PLACE_ORDER_SIDE];
        shape_leg(&second, !is_waiting(leads) && !is_waiting(second.values.numbers));
    } else {
        shape_entry(&first);
        shape_exit(&second, leads, false);
        if (has_third) shape_exit(&third, leads, !is_waiting(second.values.numbers));
    }
    body->numbers[PLACE_GROUP_KIND] = is_pair ? GROUP_KIND_OCO : GROUP_KIND_BRACKET;
    put_inner_order(body, PLACE_GROUP_FIRST, &first);
    put_inner_order(body, PLACE_GROUP_SECOND, &second);
    if (has_third) put_inner_order(body, PLACE_GROUP_THIRD, &third);
}

/* ---- Bodies --------------------------------------------------------------------------------------------------------- */

static void draw_body(struct grammar *g, const struct field *kind, struct values *body) {
    if (kind->number == COMMAND_PLACE_GROUP) draw_group(g, body);
    else if (kind->number == COMMAND_REPLACE_ORDER) draw_replacement(g, body);
    else grammar_draw(g, kind->of, body);
}

/* Of an account or of a market. */
static void shape_kill(const struct grammar *g, struct values *envelope, struct values *values) {
    if (g->requests % 2 == 0) envelope->numbers[COMMAND_ACCOUNT] = 0;
    else values->numbers[KILL_INSTRUMENT] = 0;
}

static void shape(const struct grammar *g, uint32_t kind, struct values *envelope, struct values *values) {
    if (kind == COMMAND_KILL) shape_kill(g, envelope, values);
    if (kind == COMMAND_PLACE_ORDER) shape_order(values);
    if (kind == COMMAND_AMEND_ORDER) shape_named(values, AMEND_ORDER_ORDER_ID, AMEND_ORDER_CLIENT_ORDER_ID);
    if (kind == COMMAND_CANCEL_ORDER) shape_named(values, CANCEL_ORDER_ORDER_ID, CANCEL_ORDER_CLIENT_ORDER_ID);
}

void grammar_draw_body(struct grammar *g, const struct field *kind, struct values *envelope, struct values *body) {
    draw_body(g, kind, body);
    shape(g, kind->number, envelope, body);
}
