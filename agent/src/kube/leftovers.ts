/** How what Evio puts into a node's network is told from what others have there. */

/** The bridge, tincan's tap, taps of tunnels, host ends of pods' links. */
export const LINK = /^(evio0|evio0-.+|evc[0-9a-f]{1,12})$/;

/** Of routes: docs/wire.md §10.1, "Routes". */
export const ROUTE_PROTOCOL = '69';
