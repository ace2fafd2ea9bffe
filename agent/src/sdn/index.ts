/**
 * The switch as data: tables, the flows wanted in them, and the machine that keeps the switch so.
 *
 *     const controller = new Controller(generation, tincanProgram);
 *     controller.handle({ kind: 'state', state: { self, members, core: coreFlows(...) }, settled }, now)
 *     controller.handle({ kind: 'connected' }, now) ...
 */

export { Controller, type ControllerAction, type ControllerCounters, type ControllerEvent } from './controller.ts';
export { desiredFlows, type SwitchState, TAP_PORT, tincanProgram } from './desired.ts';
export { type Flow, type FlowEdit, flowKey, flowText, planFlows } from './flow.ts';
export { groupText } from './group.ts';
export { OVS_PIPELINE, OVS_TABLE_NAMES, type OvsTableName } from './ovs/pipeline.ts';
export { type Leaf, type OvsState, ovsProgram, tapsFor } from './ovs/program.ts';
export type { SwitchMember } from './parts.ts';
export { PIPELINE, TABLE_NAMES, type TableName } from './pipeline.ts';
export type { Program, ProgramState, Tables } from './program.ts';
