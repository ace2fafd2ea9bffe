/** What the operator and the agent take from here. The agent takes types only where it can: zod costs memory. */
export * from './condition.ts';
export * from './effective.ts';
export * from './evio-network.ts';
export * from './evio-node.ts';
export * from './evio-peer.ts';
export * from './object-meta.ts';
