import { expect } from 'chai';
import { type Attachment, type Book, problemsOf } from './judge.ts';

const of = (pod: string, address: string, more: Partial<Attachment> = {}): Attachment => ({
  key: `${pod}-key`,
  containerId: `${pod}-container`,
  ifname: 'eth0',
  netns: `/run/netns/${pod}`,
  addresses: [address],
  pod: `default/${pod}`,
  finished: true,
  thisBoot: true,
  busy: false,
  link: true,
  carried: [address],
  ...more,
});
const book = (attachments: readonly Attachment[], more: Partial<Book> = {}): Book => ({
  network: 'evio',
  subnets: ['10.244.3.0/24'],
  attachments,
  garbled: [],
  given: attachments.flatMap(({ addresses }) => addresses),
  strangers: [],
  ...more,
});
const kinds = (...args: Parameters<typeof problemsOf>) =>
  problemsOf(...args).map(({ kind, addresses }) => [kind, ...addresses]);

describe("the book of pods' addresses", () => {
  it('is right where each address has its pod, and where an interface could not be looked at', () => {
    expect(
      problemsOf(book([of('a', '10.244.3.2'), of('b', '10.244.3.3', { carried: null })]), undefined),
    ).to.deep.equal([]);
  });

  it('holds an address for nobody after a reboot, an ADD that was cut off, and a pod that is gone, unless a process is at work', () => {
    for (const dead of [{ thisBoot: false }, { finished: false }, { link: false, carried: null }]) {
      expect(kinds(book([of('a', '10.244.3.2', dead)]), undefined)).to.deep.equal([['leaked', '10.244.3.2']]);
      expect(kinds(book([of('a', '10.244.3.2', { ...dead, busy: true })]), undefined)).to.deep.equal([]);
    }
    expect(kinds(book([], { garbled: ['ab'], given: ['10.244.3.9'] }), undefined)).to.deep.equal([
      ['leaked', '10.244.3.9'],
      ['leaked'],
    ]);
  });

  it('is compared with the pods of the API: one that has another address, and one that it does not have', () => {
    const right = { name: 'default/a', addresses: ['10.244.3.2'] };
    expect(kinds(book([of('a', '10.244.3.2')]), [right])).to.deep.equal([]);
    const other = { name: 'default/new', addresses: ['10.244.3.7', '192.0.2.1'] };
    expect(kinds(book([of('a', '10.244.3.2')]), [right, other])).to.deep.equal([['unrecorded', '10.244.3.7']]);
    const twin = { name: 'default/twin', addresses: ['10.244.3.2'] };
    expect(kinds(book([of('a', '10.244.3.2')]), [right, twin])).to.deep.equal([['duplicate', '10.244.3.2']]);
  });
});
