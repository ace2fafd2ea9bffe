/** The CRDs on a real API server: what it takes, what it refuses and with which words, what it fills in and shows. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { fieldsOf } from '../../crds/src/documentation.ts';
import { EXAMPLES, type Example } from '../../crds/src/examples.ts';
import { crdOf, type Schema, schemaOf } from '../../crds/src/generate.ts';
import { KINDS } from '../../crds/src/kinds.ts';
import { clear, pathOf, put, startEvioApi, type Written } from '../servers/evio-api.ts';
import { KUBECTL, type KubeApi } from '../servers/kube-api.ts';

const SAMPLE = 'manifests/samples/evionetwork.yaml';
const fileOf = ({ kind, name }: Example, verdict: 'accepted' | 'refused'): string =>
  `crds/examples/${kind.toLowerCase()}/${name}.${verdict}.yaml`;
const objectsOf = (file: string): readonly Written[] =>
  parseAllDocuments(readFileSync(file, 'utf8'), { version: '1.1' }).map((document) => document.toJS());
/** What zod makes of a spec: what the operator believes the defaults to be. */
const filledIn = ({ kind, spec }: Written): unknown => KINDS.find((one) => one.kind === kind)?.spec.parse(spec ?? {});
const network = (spec?: unknown): Written => ({
  apiVersion: 'evio.io/v1alpha1',
  kind: 'EvioNetwork',
  metadata: { name: 'default' },
  ...(spec === undefined ? {} : { spec }),
});
const node = (): Written => ({
  ...network({ memberName: 'edge-1', addresses: ['10.45.0.3/16'], podCIDRs: ['10.244.3.0/24'] }),
  kind: 'EvioNode',
  metadata: { name: 'edge-1' },
});

describe('the CRDs on a real API server', function () {
  this.timeout(120_000);
  let api: KubeApi;
  const kubectl = (...args: readonly string[]): string =>
    execFileSync(KUBECTL, ['--kubeconfig', api.kubeconfig(), '--cache-dir', `${api.directory}/kubectl`, ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
  /** What kubectl says of a refusal. */
  const complaint = (...args: readonly string[]): string => {
    try {
      return `not refused: ${kubectl(...args)}`;
    } catch (error) {
      return (error as { stderr: string }).stderr;
    }
  };

  /** The schema that kubectl explains from: put together a moment after the kind is served. */
  const publishedSchema = async (kind: string): Promise<Schema> => {
    for (const end = performance.now() + 60_000; ; await sleep(100)) {
      const { body } = await api.request('GET', '/openapi/v3/apis/evio.io/v1alpha1');
      const found = body?.components?.schemas?.[`io.evio.v1alpha1.${kind}`];
      if (found !== undefined || performance.now() > end) return found;
    }
  };

  before(async () => {
    api = await startEvioApi();
  });
  after(() => api?.stop());
  afterEach(() => clear(api));

  for (const kind of KINDS) {
    it(`take ${kind.kind} as it is made: structural, within the cost that rules may have, established`, async () => {
      const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${kind.plural}.evio.io`;
      const { body } = await api.request('GET', path);
      const conditions = body.status.conditions.map(
        (one: { type: string; status: string }) => `${one.type}=${one.status}`,
      );
      expect(conditions).to.have.members(['NamesAccepted=True', 'Established=True']);
      // Nothing that we wrote was dropped.
      expect(body.spec.versions[0].schema).to.deep.equal(
        JSON.parse(JSON.stringify(crdOf(kind).spec.versions[0]?.schema)),
      );
    });

    it(`publish what every field of ${kind.kind} is for, so that kubectl explains it`, async () => {
      const published = await publishedSchema(kind.kind);
      const fields = fieldsOf(schemaOf(kind), '').filter(({ path }) => /^(spec|status)/.test(path));
      expect(fields.length).to.be.greaterThan(kind.kind === 'EvioPeer' ? 10 : 40);
      const there = new Map(fieldsOf(published, '').map(({ path, schema }) => [path, schema.description]));
      for (const { path, schema } of fields) expect(there.get(path), path).to.equal(schema.description);
      // kubectl itself takes its time: one object of each kind.
      const said = kubectl('explain', `${kind.plural}.spec`).replace(/\s+/g, ' ');
      for (const [key, field] of Object.entries(schemaOf(kind).properties?.spec?.properties ?? {})) {
        expect(said).to.contain(`${key} <`).and.to.contain(field.description?.replace(/\s+/g, ' '));
      }
    });
  }

  for (const example of EXAMPLES) {
    it(`take the accepted example of ${example.kind} ${example.name}, with zod's defaults`, async () => {
      for (const object of objectsOf(fileOf(example, 'accepted'))) {
        const answer = await put(api, object);
        expect(answer.status, answer.body.message).to.be.oneOf([200, 201]);
        expect(answer.body.spec).to.deep.equal(filledIn(object));
      }
    });

    it(`refuse the other example of ${example.kind} ${example.name}, and say why`, async () => {
      const objects = objectsOf(fileOf(example, 'refused'));
      for (const object of objects.slice(0, -1)) expect((await put(api, object)).status).to.be.oneOf([200, 201]);
      const { status, body } = await put(api, objects.at(-1) as Written);
      expect(status, JSON.stringify(body)).to.equal(422);
      const { field, type, sentence, also = [] } = example;
      const sentences = [`Invalid value: "${type ?? ''}": ${sentence}`, ...also];
      expect(body.details.causes).to.have.deep.members(
        sentences.map((message) => ({ reason: 'FieldValueInvalid', message, field })),
      );
    });
  }

  it('fill in an empty spec, and a spec that is not there, as zod does', async () => {
    for (const object of [network({}), network()]) {
      expect((await put(api, object)).body.spec).to.deep.equal(filledIn(network({})));
      await clear(api);
    }
    const half = network({ topology: { successors: 3 }, ice: { stun: ['192.0.2.1:3478'] }, pods: {}, security: {} });
    expect((await put(api, half)).body.spec).to.deep.equal(filledIn(half));
  });

  it('take links as a number or in words, and give them back as they were written', async () => {
    for (const longDistance of [0, 64, 'auto', 'auto:0', 'auto:64']) {
      const answer = await put(api, network({ topology: { longDistance } }));
      expect(answer.body.spec.topology.longDistance).to.equal(longDistance);
    }
    for (const longDistance of [65, -1, '8', 'auto:', 'auto:65', true])
      expect((await put(api, network({ topology: { longDistance } }))).status, String(longDistance)).to.equal(422);
  });

  it('take the sample by kubectl apply, twice', () => {
    expect(kubectl('apply', '-f', SAMPLE)).to.equal('evionetwork.evio.io/default created\n');
    expect(kubectl('apply', '-f', SAMPLE)).to.equal('evionetwork.evio.io/default unchanged\n');
  });

  it('refuse a key that is not known, wherever it stands', async () => {
    const wrong: readonly (readonly [path: string, spec: object])[] = [
      ['spec.podCIDR', { podCIDR: ['10.244.0.0/16'] }],
      ['spec.signalling.internal', { signalling: { internal: {}, embedded: {} } }],
      ['spec.signalling.embedded.hosts', { signalling: { embedded: { hosts: ['a'] } } }],
      ['spec.ice.relayPorts.from', { ice: { relayPorts: { from: 1, min: 50_000, max: 50_001 } } }],
      ['spec.topology.longdistance', { topology: { longdistance: 3 } }],
    ];
    for (const [path, spec] of wrong) {
      const { status, body } = await put(api, network(spec));
      expect(status, path).to.equal(400);
      expect(body.message).to.contain(`strict decoding error: unknown field "${path}"`);
    }
  });

  it('show the person at kubectl the sentence, and the field it is about', () => {
    const file = 'crds/examples/evionetwork/node-cidr-masked.refused.yaml';
    expect(complaint('apply', '-f', file).trim()).to.equal(
      `The EvioNetwork "default" is invalid: spec.nodeCIDRs[0]: Invalid value: "string": this prefix has bits behind its length: write the network's own address, like 10.45.0.0/16`,
    );
  });

  it('show in columns how the network and its nodes are', async () => {
    const now = new Date().toISOString();
    const ready = { type: 'Ready', status: 'True', reason: 'Ready', message: '', lastTransitionTime: now };
    const degraded = { ...ready, type: 'Degraded', reason: 'SecretMissing', message: 'there is no Secret xmpp-admin' };
    await put(api, network({}));
    await put(api, node());
    const statuses: readonly (readonly [string, object])[] = [
      [
        `${pathOf('EvioNetwork')}/default/status`,
        {
          conditions: [ready, degraded],
          nodes: { desired: 4, ready: 4, summary: '4/4' },
          tunnels: { direct: 10, relayed: 2 },
          effectiveMTU: 1400,
        },
      ],
      [
        `${pathOf('EvioNode')}/edge-1/status`,
        {
          conditions: [ready],
          nat: { mapping: 'EndpointIndependent' },
          summary: { tunnels: 3, direct: 2, relayed: 1 },
          versions: { agent: '0.2.0' },
        },
      ],
    ];
    for (const [path, status] of statuses) {
      const patch = await api.request('PATCH', path, { status }, { type: 'application/merge-patch+json' });
      expect(patch.status, patch.body.message).to.equal(200);
    }
    const rows = (...args: readonly string[]): readonly (readonly string[])[] =>
      kubectl('get', ...args)
        .trim()
        .split('\n')
        .map((line) => line.trim().split(/\s{2,}/));
    const [head, row] = rows('enet');
    expect(head).to.deep.equal(['NAME', 'READY', 'MODE', 'NODES', 'DIRECT', 'RELAYED', 'MTU', 'AGE']);
    expect(row?.slice(0, 7)).to.deep.equal(['default', 'Ready', 'PodNetwork', '4/4', '10', '2', '1400']);
    expect(rows('enet', '-o', 'wide')[1]?.at(-1)).to.equal('there is no Secret xmpp-admin');
    const [nodeHead, nodeRow] = rows('en');
    expect(nodeHead).to.deep.equal('NAME READY ADDRESS NAT TUNNELS DIRECT RELAYED VERSION AGE'.split(' '));
    expect(nodeRow?.slice(0, 8)).to.deep.equal([
      'edge-1',
      'Ready',
      '10.45.0.3/16',
      'EndpointIndependent',
      '3',
      '2',
      '1',
      '0.2.0',
    ]);
    expect(kubectl('get', 'evio', '-o', 'name').trim().split('\n')).to.have.members([
      'evionetwork.evio.io/default',
      'evionode.evio.io/edge-1',
    ]);
  });

  it("keep the status apart from the spec: neither's writer changes the other", async () => {
    await put(api, node());
    const path = `${pathOf('EvioNode')}/edge-1`;
    const type = 'application/merge-patch+json';
    await api.request('PATCH', path, { status: { observedSerial: '7' } }, { type });
    await api.request('PATCH', `${path}/status`, { spec: { addresses: ['10.45.0.9/16'] } }, { type });
    const { body } = await api.request('GET', path);
    expect(body.status).to.equal(undefined);
    expect(body.spec.addresses).to.deep.equal(['10.45.0.3/16']);
  });

  it("merge conditions by type under server-side apply, so that a second writer's stay", async () => {
    await put(api, node());
    const apply = (manager: string, status: object) =>
      api.request(
        'PATCH',
        `${pathOf('EvioNode')}/edge-1/status?fieldManager=${manager}`,
        { apiVersion: 'evio.io/v1alpha1', kind: 'EvioNode', metadata: { name: 'edge-1' }, status },
        { type: 'application/apply-patch+yaml' },
      );
    const condition = (type: string) => ({
      type,
      status: 'True',
      reason: 'Running',
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    });
    const tunnel = (peer: string) => ({ peer, state: 'Up', path: 'Direct' });
    expect((await apply('other', { conditions: [condition('Other')] })).status).to.equal(200);
    await apply('evio-agent', { conditions: [condition('Ready')], tunnels: [tunnel('a'), tunnel('b')] });
    const { body } = await apply('evio-agent', { conditions: [condition('AgentReady')], tunnels: [tunnel('b')] });
    expect(body.status.conditions.map((one: { type: string }) => one.type)).to.have.members(['Other', 'AgentReady']);
    expect(body.status.tunnels).to.deep.equal([tunnel('b')]);
    const many = Array.from({ length: 65 }, (_, n) => tunnel(`n${n}`));
    const refused = await apply('evio-agent', { tunnels: many });
    expect(refused.body.message).to.contain('status.tunnels: Too many: 65: must have at most 64 items');
  });
});
