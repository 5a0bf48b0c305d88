export { type BrokerConfig, configSchema, readConfig } from './config.ts'
export { type InitRequest, initBroker, initSchema } from './init.ts'
export { type RunningBroker, serveBroker } from './serve.ts'
