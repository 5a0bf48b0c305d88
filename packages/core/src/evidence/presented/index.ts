export { type PresentedEvidence, readPresented } from './read-presented.ts'
export { readGpuChain } from './device-messages.ts'
