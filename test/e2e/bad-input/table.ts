/** All rows. */
import { COMMAND_ROWS } from './command-rows.ts';
import { CONFIG_ROWS } from './config-rows.ts';
import { JOIN_ROWS } from './join-rows.ts';
import type { Row } from './row.ts';
import { SIGNALLING_ROWS } from './signalling-rows.ts';
import { START_ROWS } from './start-rows.ts';
import { TURN_ROWS } from './turn-rows.ts';

/** EVIO_BAD_INPUT_ROWS: an expression for the rows that are meant. */
const wanted = new RegExp(process.env.EVIO_BAD_INPUT_ROWS ?? '');

export const GROUPS: Readonly<Record<string, readonly Row[]>> = Object.fromEntries(
  Object.entries({
    'a node file': CONFIG_ROWS,
    'a command': COMMAND_ROWS,
    'a machine': START_ROWS,
    'a server': SIGNALLING_ROWS,
    'a relay': TURN_ROWS,
    'a token': JOIN_ROWS,
  }).map(([name, rows]) => [name, rows.filter((row) => wanted.test(row.what))]),
);
