export * from './eventlog/index.ts'
export * from './verify/index.ts'
