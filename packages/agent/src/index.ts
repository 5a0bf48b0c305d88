export { enrolMachine, runWorkload } from './agent.ts'
export { type Config, configSchema, readConfig } from './config.ts'
export { AGENT_ERROR_CODES, AgentError, type AgentErrorCode } from './errors.ts'
export type { AgentEvent, Emit } from './events.ts'
