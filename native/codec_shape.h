/* The shape of a command, for codec_read.c. */

#ifndef BOURSE_CODEC_SHAPE_H
#define BOURSE_CODEC_SHAPE_H

#include "codec.h"

/* Kinds by what they have in common, a bit a kind. */
#define CANCELS (CODEC_KIND(COMMAND_CANCEL_ORDER) | CODEC_KIND(COMMAND_CANCEL_ALL))
#define MOVES (CODEC_KIND(COMMAND_CREDIT) | CODEC_KIND(COMMAND_DEBIT))
#define ALONE (CODEC_KIND(COMMAND_OPEN_SESSION) | CODEC_KIND(COMMAND_TICK) | CODEC_KIND(COMMAND_HALT))
#define OF_AN_ACCOUNT \
    (CANCELS | MOVES | CODEC_KIND(COMMAND_PLACE_ORDER) | CODEC_KIND(COMMAND_AMEND_ORDER) | CODEC_KIND(COMMAND_SET_ACCOUNT) | \
     CODEC_KIND(COMMAND_REPLACE_ORDER) | CODEC_KIND(COMMAND_PLACE_GROUP) | CODEC_KIND(COMMAND_SET_DEAD_MAN))

/* Is a command that was read one that may be asked? Only what no refusal of the core has a name for is excluded here: the rest
 * is the core's to refuse, one command at a time. */
bool codec_is_well_formed(const struct codec_command *command);

#endif
