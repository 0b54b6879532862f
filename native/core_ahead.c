/* Looking at commands before it is their turn; see core.h.
 *
 * A command touches a dozen cache lines that nothing before it has touched: its account, two balances, an order and its
 * neighbours. One after the other they cost more than all the rest. So commands are taken up thirty-two at a time, and what each
 * will look at is asked for in rounds: first what follows from the command alone, then what is found there. None of this
 * decides anything: what is near may be wrong by the time it is used, and is looked up again. */

#include "core.h"

/* The order a command names by its id, or 0. */
static uint64_t order_named(const struct codec_command *command) {
    switch (command->kind) {
    case COMMAND_CANCEL_ORDER: return command->cancel_order.order_id;
    case COMMAND_AMEND_ORDER: return command->amend_order.order_id;
    default: return 0;
    }
}

/* The client order id that a command will look up, or nothing. */
static struct codec_bytes name_in(const struct codec_command *command) {
    switch (command->kind) {
    case COMMAND_PLACE_ORDER: return command->place_order.client_order_id;
    case COMMAND_CANCEL_ORDER: return command->cancel_order.client_order_id;
    case COMMAND_AMEND_ORDER: return command->amend_order.client_order_id;
    default: return (struct codec_bytes){NULL, 0};
    }
}

/* First round: where account, balances and order are found; for a new order where its id will stand, if `given` orders have one
 * before it. Leaves the hashes of its balances where their places will stand. */
static inline void warm_entries(const struct core *c, const struct codec_command *command, uint64_t given, struct core_found *found) {
    uint64_t order_id = order_named(command);
    risk_warm_account(&c->risk, command->account);
    if (order_id != 0) book_warm(c->pool, order_id);
    if (command->kind != COMMAND_PLACE_ORDER) return;
    book_warm(c->pool, (given + 1) * CORE_SHARDS + c->shard);
    const struct core_instrument *instrument = core_find_instrument(c, command->place_order.instrument);
    if (!instrument) return;
    found->base = risk_balance_check(command->account, c->risk.assets[instrument->base].id);
    found->quote = risk_balance_check(command->account, c->risk.assets[instrument->quote].id);
    found->has_balances = true;
    risk_warm_balance(&c->risk, found->base);
    if ((found->base ^ found->quote) >> 3 != 0) risk_warm_balance(&c->risk, found->quote);
}

/* Second round: account, balances and order, and where a name is found. */
static inline void warm_things(const struct core *c, const struct codec_command *command, struct core_found *found) {
    uint64_t order_id = order_named(command);
    uint32_t account = risk_find_account(&c->risk, command->account);
    struct codec_bytes name = name_in(command);
    found->account = account;
    bring_near(&c->risk.accounts[account]);
    if (name.length != 0) {
        struct names_text text = names_text(name.at, name.length);
        names_warm(&c->names, account, &text);
    }
    if (order_id != 0) {
        found->slot = book_guess(c->pool, order_id);
        bring_near(book_order_at(c->pool, found->slot));
        bring_near(&c->cold[found->slot]);
    }
    if (!found->has_balances) return;
    found->base = risk_guess_balance(&c->risk, found->base);
    found->quote = risk_guess_balance(&c->risk, found->quote);
}

/* Third round: an order's neighbours in both its lists, its balance and its name; or the youngest order of who places one. */
static inline void warm_neighbours(const struct core *c, const struct core_found *found) {
    uint32_t slot = found->slot;
    if (slot == BOOK_NONE) {
        bring_near(&c->cold[c->risk.accounts[found->account].last_order]);
        return;
    }
    const struct book_order *order = book_order_at(c->pool, slot);
    bring_near(book_order_at(c->pool, order->next));
    bring_near(book_order_at(c->pool, order->previous));
    bring_near(&c->pool->levels[order->level]);
    bring_near(&c->cold[c->cold[slot].older]);
    bring_near(&c->cold[c->cold[slot].younger]);
    bring_near(&c->risk.balances[core_gives(order)]);
    if (c->cold[slot].name != NAMES_NONE) names_bring(&c->names, c->cold[slot].name);
}

/* The next command of the batch, kept from the check or read into `room`; NULL after the last. */
static const struct codec_command *take_up(struct core *c, struct codec_command *room) {
    struct codec_batch *batch = &c->progress.batch;
    const struct codec_command *kept = codec_batch_next_kept(batch, &c->kept);
    if (kept) return kept;
    return codec_batch_next(batch, room) ? room : NULL;
}

/* Take up the next commands of the batch, and bring near what they will touch. Apart from who calls it, which has little to do
 * thirty-one times of thirty-two. */
__attribute__((noinline)) static void look_ahead(struct core *c) {
    struct core_ahead *ahead = &c->ahead;
    uint64_t given = c->orders_given;
    ahead->count = ahead->next = 0;
    do {
        uint32_t i = ahead->count;
        ahead->starts[i] = c->progress.batch.at;
        ahead->commands[i] = take_up(c, &ahead->read[i]);
        if (!ahead->commands[i]) break;
        ahead->found[i] = (struct core_found){RISK_NONE, BOOK_NONE, RISK_NONE, RISK_NONE, false};
        warm_entries(c, ahead->commands[i], given, &ahead->found[i]);
        given += ahead->commands[i]->kind == COMMAND_PLACE_ORDER;
    } while (++ahead->count < CORE_AHEAD);
    for (uint32_t i = 0; i < ahead->count; i++) warm_things(c, ahead->commands[i], &ahead->found[i]);
    for (uint32_t i = 0; i < ahead->count; i++) warm_neighbours(c, &ahead->found[i]);
}

bool core_next_command(struct core *c) {
    struct core_ahead *ahead = &c->ahead;
    if (ahead->next == ahead->count) look_ahead(c);
    if (ahead->count == 0) return false;
    c->progress.command = ahead->commands[ahead->next++];
    return true;
}

const uint8_t *core_command_start(const struct core *c) {
    const struct core_ahead *ahead = &c->ahead;
    if (c->progress.stage != STAGE_DECIDE) return ahead->starts[ahead->next - 1];
    return ahead->next < ahead->count ? ahead->starts[ahead->next] : c->progress.batch.at;
}
