/** The XMPP server's address, taken apart once. */

export interface Service {
  /** As written. */
  readonly url: string;
  /** `direct`: TLS from the first byte (XEP-0368). `starttls`: RFC 6120 §5, and nothing is sent without it. */
  readonly tls: 'direct' | 'starttls';
  /** A name or an address, an IPv6 one without brackets. */
  readonly host: string;
  readonly port: number;
}

/** For a text the schema has accepted. */
export function serviceOf(url: string): Service {
  const [scheme, authority] = url.split('://') as [string, string];
  const { host, port } = hostPortOf(authority);
  return { url, tls: scheme === 'xmpps' ? 'direct' : 'starttls', host, port };
}

/** `HOST:PORT`, `[V6]:PORT`. */
export function hostPortOf(text: string): { readonly host: string; readonly port: number } {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) };
}
