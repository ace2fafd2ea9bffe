/** Pieces of CEL that several rules share. Libraries as of Kubernetes 1.31: `isCIDR`, `cidr()`, `isIP`, `ip()`, strings. */
import type { Rule } from './field.ts';

/** A DNS name: labels of RFC 1123, and not digits and dots only, which would be a mistyped address. */
const DNS_NAME = String.raw`^[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*$`;
const DIGITS_AND_DOTS = '^[0-9.]+$';

export const isDnsName = (text: string): string =>
  `(${text}.matches('${DNS_NAME}') && !${text}.matches('${DIGITS_AND_DOTS}'))`;

/** An address without brackets, or a name. */
export const isHost = (text: string): string => `isIP(${text}) || ${isDnsName(text)}`;

/** What ends in ":PORT", with the port in its range. Only evaluated when the first pattern holds. */
export const isHostPort = (text: string, scheme = ''): string =>
  `${text}.matches('^${scheme}(\\\\[[0-9A-Fa-f:.]+\\\\]|[-A-Za-z0-9.]+):[0-9]{1,5}$') && ` +
  `int(${text}.substring(${text}.lastIndexOf(':') + 1)) >= 1 && int(${text}.substring(${text}.lastIndexOf(':') + 1)) <= 65535`;

export const familyOf = (cidr: string): string => `cidr(${cidr}).ip().family()`;

/** How many prefixes of one family a list holds; what is no prefix counts for none. */
const ofFamily = (list: string, family: 4 | 6): string =>
  `${list}.filter(c, isCIDR(c) && ${familyOf('c')} == ${family}).size()`;

export const onePerFamily = (message: string): Rule => ({
  rule: `${ofFamily('self', 4)} <= 1 && ${ofFamily('self', 6)} <= 1`,
  message,
});

/** Each of `olds` lies within one of `news`. */
export const contained = (olds: string, news: string): string =>
  `${olds}.all(o, ${news}.exists(n, isCIDR(n) && isCIDR(o) && cidr(n).containsCIDR(o)))`;

/** No prefix of one list shares an address with one of the other. */
export const disjoint = (left: string, right: string): string =>
  `${left}.all(l, !isCIDR(l) || ${right}.all(r, !isCIDR(r) || !(cidr(l).containsCIDR(r) || cidr(r).containsCIDR(l))))`;

/** Rules of one network prefix, each message beginning with whose it is. */
export const networkPrefixRules = (example4: string, example6: string): readonly Rule[] => [
  {
    rule: 'isCIDR(self)',
    message: `this is no network prefix: write an address with its prefix length, like ${example4} or ${example6}`,
  },
  {
    rule: '!isCIDR(self) || cidr(self) == cidr(self).masked()',
    message: `this prefix has bits behind its length: write the network's own address, like ${example4}`,
  },
  {
    rule: '!isCIDR(self) || cidr(self).ip().isGlobalUnicast()',
    message:
      'addresses for nodes and pods cannot be loopback, link-local, multicast or unspecified ones: write a private prefix like 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fd00::/8 or a part of one',
  },
];
