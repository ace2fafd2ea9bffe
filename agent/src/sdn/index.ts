/**
 * The switch as data: tables, the flows wanted in them, and the machine that keeps the switch so.
 *
 *     const controller = new Controller(generation);
 *     controller.handle({ kind: 'state', state: { self, members, core: coreFlows(...) }, settled }, now)
 *     controller.handle({ kind: 'connected' }, now) ...
 */

export { Controller, type ControllerAction, type ControllerCounters, type ControllerEvent } from './controller.ts';
export { desiredFlows, type SwitchMember, type SwitchState, TAP_PORT } from './desired.ts';
export { type Flow, type FlowEdit, flowKey, flowText, planFlows } from './flow.ts';
export { PIPELINE, TABLE_NAMES, type TableName } from './pipeline.ts';
