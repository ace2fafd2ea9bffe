/** What takes weeks: an operator with a clock of the test's own, at a real API server. */
import { expect } from 'chai';
import { Connection } from '../../agent/src/io/kube-connection.ts';
import { VERSION } from '../../agent/src/version.ts';
import { parseCertificate } from '../../agent/src/wire/certificate.ts';
import { fromBase64 } from '../../agent/src/wire/reader.ts';
import { findAccess } from '../../operator/src/io/access.ts';
import { createOperator } from '../../operator/src/main.ts';
import { readSettings } from '../../operator/src/settings.ts';
import { Lab, NAMESPACE, until } from './operator/lab.ts';

const DAY = 86_400;
const QUIET = { error: () => undefined, warn: () => undefined, info: () => undefined, debug: () => undefined };

describe("the operator's work of weeks", function () {
  this.timeout(120_000);
  let lab: Lab;
  let ahead = 0;
  const end = new AbortController();
  let ended: Promise<boolean> | undefined;

  before(async () => {
    lab = await Lab.start();
    const operator = createOperator({
      settings: readSettings({ EVIO_NAMESPACE: NAMESPACE, EVIO_HEALTH_PORT: '0' }, VERSION),
      connection: new Connection(await findAccess({ kubeconfig: lab.api.kubeconfig('operator') })),
      log: QUIET,
      now: () => Math.floor(Date.now() / 1000) + ahead,
    });
    ended = operator.run(end.signal);
    await lab.adminSecrets();
    await lab.apply();
  });
  after(async () => {
    end.abort();
    await ended;
    await lab?.stop();
  });

  /** A change that says nothing, so that the node is looked at now and not in an hour. */
  const look = async (): Promise<void> => {
    const annotations = { 'test/look': String(ahead) };
    const type = 'application/merge-patch+json';
    lab.must(await lab.api.request('PATCH', '/api/v1/nodes/a', { metadata: { annotations } }, { type }));
  };
  const serial = async (): Promise<number> => Number((await lab.member('a'))?.spec.enrolment?.serial ?? 0);

  it('renews a certificate after half its life, and not before', async () => {
    await lab.node('a');
    await until('the EvioNode', () => lab.member('a'));
    await lab.tell('a', lab.newKeys());
    await until('it is enrolled', async () => (await serial()) === 1);
    ahead = 14 * DAY;
    await look();
    // The next turn of the same node comes after this one.
    await lab.node('b');
    await until('the next one is seen', () => lab.member('b'));
    expect(await serial()).to.equal(1);
    ahead = 15 * DAY + 60;
    await look();
    await until('it is renewed', async () => (await serial()) === 2);
    const enrolment = (await lab.member('a'))?.spec.enrolment;
    const { notBefore, notAfter } = parseCertificate(fromBase64(enrolment?.certificate ?? ''));
    expect(notAfter - notBefore).to.equal(30 * DAY);
    expect(Math.abs(notBefore - Date.now() / 1000 - ahead)).to.be.lessThan(60);
  });

  it('forgets who was revoked once that certificate has ended', async () => {
    await lab.tell('b', lab.newKeys());
    await until('b is enrolled', async () => (await lab.member('b'))?.spec.enrolment);
    await lab.remove('nodes', 'b');
    const first = await until('a is told', async () => (await lab.member('a'))?.spec.enrolment?.revocations);
    ahead = 60 * DAY;
    await lab.node('c');
    await until('c', () => lab.member('c'));
    await lab.tell('c', lab.newKeys());
    await until('c is enrolled', async () => (await lab.member('c'))?.spec.enrolment);
    await lab.remove('nodes', 'c');
    const later = await until('a is told again', async () => {
      const list = (await lab.member('a'))?.spec.enrolment?.revocations;
      return list !== undefined && list !== first && list;
    });
    // Each has one entry.
    expect(later.length).to.equal(first.length);
  });
});
