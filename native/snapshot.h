/* The whole state as a stream of 64-bit words, lowest byte first, and back.
 *
 *   magic, version of this format, the image of the core; from version 3 on whether the shard is halted. Version 2 is written where
 *           it never was, which is as if all of that were 0
 *   assets, accounts, balances, instruments: each a count and as many images, in the order of their places
 *   orders: a count; of each the image, what follows it (SNAPSHOT_MORE, SNAPSHOT_NAME), and that; instrument by instrument, its
 *           book, those that wait for the last price, for the mark price; buys before sells, best price first, oldest first:
 *           as they would trade or be triggered; at last those that are parked, by ascending id
 *   names of ended orders: a count and images, in the order of their ends
 *   sessions: a count; of each the image, how many numbers it remembers, and each with its offset; by ascending id
 *   sources: the last number of each, from 1
 *   state hash, balance hash
 *
 * Images are those that are hashed (hash.h), so a snapshot says all that a hash depends on, and no more: neither slots nor
 * sizes of tables nor how much room is reserved. Two equal states are equal bytes.
 *
 * Writing keeps nothing but its cursor and changes nothing; about 5 ns a word. Reading takes nothing for granted: whatever the
 * bytes are, the result is a core in which everything holds, or CORE_BROKEN. A million open orders with names take about a
 * second, most of it the final check of everything. */

#ifndef BOURSE_SNAPSHOT_H
#define BOURSE_SNAPSHOT_H

#include "core.h"

/* "BOURSE" and two bytes that no text file has. */
#define SNAPSHOT_MAGIC UINT64_C(0x0a1a455352554f42)
#define SNAPSHOT_VERSION 3u
#define SNAPSHOT_UNHALTED 2u
/* Books of an instrument: its own, and two of orders that wait. */
#define SNAPSHOT_BOOKS 3u
/* What follows an order's image. */
#define SNAPSHOT_NAME 1u
#define SNAPSHOT_MORE 2u
/* The largest thing in a snapshot is a session: its image, a count, and its ring. */
#define SNAPSHOT_ITEM_BYTES (8 * (SESSION_WORDS + 1 + 2 * SESSION_RING))

#endif
