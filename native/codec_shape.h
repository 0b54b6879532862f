/* The shape of a command, for codec_read.c. */

#ifndef BOURSE_CODEC_SHAPE_H
#define BOURSE_CODEC_SHAPE_H

#include "codec.h"

/* Kinds by what they have in common, a bit a kind. */
enum {
    CANCELS = 1 << COMMAND_CANCEL_ORDER | 1 << COMMAND_CANCEL_ALL,
    MOVES = 1 << COMMAND_CREDIT | 1 << COMMAND_DEBIT,
    ALONE = 1 << COMMAND_OPEN_SESSION | 1 << COMMAND_TICK,
    OF_AN_ACCOUNT = CANCELS | MOVES | 1 << COMMAND_PLACE_ORDER | 1 << COMMAND_AMEND_ORDER | 1 << COMMAND_SET_ACCOUNT |
                    1 << COMMAND_REPLACE_ORDER | 1 << COMMAND_PLACE_GROUP | 1 << COMMAND_SET_DEAD_MAN,
};

/* Is a command that was read one that may be asked? Only what no refusal of the core has a name for is excluded here: the rest
 * is the core's to refuse, one command at a time. */
bool codec_is_well_formed(const struct codec_command *command);

#endif
