export { type GpuReport, parseGpuReport } from './parse-gpu-report.ts'
export {
  type GpuEvidence,
  type GpuExpectation,
  type GpuFacts,
  gpuNonce,
  type VerifiedGpuEvidence,
  verifyGpu,
  verifyGpus,
} from './verify-gpu.ts'
export { nvidiaDeviceRoot } from './roots.ts'
