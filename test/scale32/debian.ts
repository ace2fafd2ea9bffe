/** The throttles of a Prosody as Debian ships it. */

/** Debian 12, prosody 0.12.3-1+deb12u1, /etc/prosody/prosody.cfg.lua; bursts are mod_limits' own default. */
const LIMITS = 'limits = { c2s = { rate = "10kb/s" }, s2sin = { rate = "30kb/s" } }';

/** A configuration by `evio server init`, with Debian's limits in the place of its own. */
export function debianLimits(text: string): { readonly text: string; readonly limits: string } {
  const own = /^limits = \{.*\}$/m;
  if (!own.test(text)) throw new Error('the configuration of Prosody has no limits to be exchanged');
  if (!text.includes('"limits"')) throw new Error('mod_limits is not among the modules of Prosody');
  return { text: text.replace(own, LIMITS), limits: LIMITS };
}
