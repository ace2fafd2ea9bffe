/**
 * What one object cannot say about itself: who may change what. ValidatingAdmissionPolicies, not webhooks: they need no
 * certificate and no server, and none is left to refuse everything after an uninstall.
 *
 * A policy sees one object at a time and cannot list others. That no two EvioNodes have the same address is therefore for the
 * operator: it allots from what it has read of all EvioNodes, writes with the resourceVersion it has read, and says
 * AddressesOverlap in the EvioNetwork's AddressPoolReady where two overlap all the same.
 */
import { GROUP, VERSION } from './object-meta.ts';

export const AGENT_TAINT = 'node.evio.io/agent-not-ready';
export const OPERATOR = 'evio-operator';
export const AGENT = 'evio-agent';
const NAMESPACE = 'evio-system';
/** As agent/src/join/cluster-token.ts writes and reads it. */
const TOKEN_TYPE = 'evio.io/join-token';

/** One of `spec.validations`; `expression` is true when all is well. */
export interface Validation {
  readonly expression: string;
  readonly message: string;
}
export interface Policy {
  readonly name: string;
  /** For docs/api.md. */
  readonly title: string;
  readonly group: string;
  readonly version: string;
  readonly resources: readonly string[];
  readonly operations: readonly string[];
  /** Only requests of this account are looked at; undefined: those of all. */
  readonly account?: string;
  /** Only objects there are looked at; undefined: those of all namespaces. */
  readonly namespace?: string;
  readonly variables?: Readonly<Record<string, string>>;
  readonly validations: readonly Validation[];
}

const account = (namespace: string, name: string): string => `system:serviceaccount:${namespace}:${name}`;

/** The API server puts the node of the pod that a token is bound to there (KEP-4193, on since 1.30); nobody else can. */
const NODE_CLAIM = 'authentication.kubernetes.io/node-name';
const NODE_OF_TOKEN = `request.userInfo.?extra[?'${NODE_CLAIM}'].orValue([''])[0]`;
const ownObject = (what: string): Validation => ({
  expression: `variables.node != '' && request.name == variables.node`,
  message: `an agent writes the ${what} of the node that its token is bound to and no other: use a token of an agent's pod on that node`,
});
const subresource = `request.?subResource.orValue('')`;
const same = (path: string): string => `object.${path} == oldObject.${path}`;

export function policies(namespace = NAMESPACE): readonly Policy[] {
  const agent = account(namespace, AGENT);
  const operator = account(namespace, OPERATOR);
  return [
    {
      name: `agent-evionode-status.${GROUP}`,
      title: "An agent writes the status of its own node's EvioNode, and nothing else of the API",
      group: GROUP,
      version: VERSION,
      resources: ['*/*'],
      operations: ['CREATE', 'UPDATE', 'DELETE'],
      account: agent,
      variables: { node: NODE_OF_TOKEN },
      validations: [
        {
          expression: `request.resource.resource == 'evionodes' && request.operation == 'UPDATE' && ${subresource} == 'status'`,
          message:
            'an agent writes nothing but the status of its EvioNode: what else there is, the operator and people write; use the subresource status',
        },
        ownObject('EvioNode status'),
      ],
    },
    {
      name: `agent-node-taint.${GROUP}`,
      title: `An agent takes the taint ${AGENT_TAINT} off its own Node, and changes nothing else of Nodes`,
      group: '',
      version: 'v1',
      resources: ['nodes', 'nodes/*'],
      operations: ['CREATE', 'UPDATE', 'DELETE'],
      account: agent,
      variables: {
        node: NODE_OF_TOKEN,
        before: `request.operation == 'UPDATE' ? oldObject.spec.?taints.orValue([]) : []`,
        after: `request.operation == 'UPDATE' ? object.spec.?taints.orValue([]) : []`,
      },
      validations: [
        {
          expression: `request.operation == 'UPDATE' && ${subresource} == ''`,
          message: `an agent changes nothing of a Node but its taints: patch spec.taints, to take ${AGENT_TAINT} off`,
        },
        ownObject('Node'),
        {
          expression: `request.operation != 'UPDATE' || (${[
            ...['labels', 'annotations', 'finalizers', 'ownerReferences'].map((key) => same(`metadata.?${key}`)),
            // As maps, so that fields that a later Kubernetes adds are compared too.
            `dyn(object.spec).all(k, k == 'taints' || (k in dyn(oldObject.spec) && dyn(object.spec)[k] == dyn(oldObject.spec)[k]))`,
            `dyn(oldObject.spec).all(k, k == 'taints' || k in dyn(object.spec))`,
          ].join(' && ')})`,
          message: `an agent changes nothing of a Node but its taints: patch spec.taints alone, to take ${AGENT_TAINT} off`,
        },
        {
          expression: `variables.after.all(t, t in variables.before) && variables.before.all(t, t.key == '${AGENT_TAINT}' || t in variables.after)`,
          message: `of a Node's taints an agent takes ${AGENT_TAINT} off, and leaves all others as they are`,
        },
      ],
    },
    {
      name: `agent-lease.${GROUP}`,
      title: "An agent renews the Lease of its own node, and no other: one of them makes the operator's leader",
      group: 'coordination.k8s.io',
      version: 'v1',
      resources: ['leases'],
      operations: ['CREATE', 'UPDATE', 'DELETE'],
      account: agent,
      variables: { node: NODE_OF_TOKEN },
      validations: [
        {
          expression: `variables.node != '' && object != null && object.metadata.name == 'evio-node-' + variables.node`,
          message:
            "an agent writes the Lease evio-node-NODE of the node that its token is bound to and no other: use a token of an agent's pod on that node",
        },
      ],
    },
    {
      name: `evionode-spec.${GROUP}`,
      title: 'The spec of an EvioNode is written by the operator, and by cluster administrators',
      group: GROUP,
      version: VERSION,
      resources: ['evionodes'],
      operations: ['CREATE', 'UPDATE'],
      validations: [
        {
          // A verb that no role names: only who may do everything has it, like the ClusterRole cluster-admin.
          expression: [
            `(request.operation == 'UPDATE' && ${same('spec')})`,
            `request.userInfo.username == '${operator}'`,
            `authorizer.group('${GROUP}').resource('evionodes').check('override').allowed()`,
          ].join(' || '),
          message:
            'the spec of an EvioNode is written by the operator alone: change the EvioNetwork, or delete the EvioNode to have it made anew',
        },
      ],
    },
    {
      name: `token-secret.${GROUP}`,
      title:
        "Who makes join tokens makes no other Secret beside the operator's: one by its name would be the overlay's authority",
      group: '',
      version: 'v1',
      resources: ['secrets'],
      operations: ['CREATE'],
      namespace,
      validations: [
        {
          // Who reads all Secrets there has the authority's key already.
          expression: [
            `(object.?type.orValue('') == '${TOKEN_TYPE}' && object.metadata.?name.orValue('').matches('^evio-token-[0-9a-f]{16}$'))`,
            `authorizer.group('').resource('secrets').namespace('${namespace}').check('get').allowed()`,
          ].join(' || '),
          message:
            'who may not read the Secrets of this namespace makes none but join tokens there: use "evio token create", or make the Secret as somebody who may get them',
        },
      ],
    },
  ];
}

/** The policy and its binding, as the API server takes them (admissionregistration.k8s.io/v1). */
export function policyObjects(policy: Policy): readonly [policy: object, binding: object] {
  const metadata = { name: policy.name };
  const spec = {
    // A policy that cannot be evaluated refuses: it stands before what tells members of the overlay apart.
    failurePolicy: 'Fail',
    matchConstraints: {
      ...(policy.namespace === undefined
        ? {}
        : { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': policy.namespace } } }),
      resourceRules: [
        {
          apiGroups: [policy.group],
          apiVersions: [policy.version],
          operations: policy.operations,
          resources: policy.resources,
        },
      ],
    },
    ...(policy.account === undefined
      ? {}
      : {
          matchConditions: [{ name: 'account', expression: `request.userInfo.username == '${policy.account}'` }],
        }),
    ...(policy.variables === undefined
      ? {}
      : { variables: Object.entries(policy.variables).map(([name, expression]) => ({ name, expression })) }),
    validations: policy.validations.map((validation) => ({ ...validation, reason: 'Forbidden' })),
  };
  const apiVersion = 'admissionregistration.k8s.io/v1';
  return [
    { apiVersion, kind: 'ValidatingAdmissionPolicy', metadata, spec },
    {
      apiVersion,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata,
      spec: { policyName: policy.name, validationActions: ['Deny'] },
    },
  ];
}
