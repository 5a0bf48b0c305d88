/** Evidence of hardware: parse and verify. Appraisals of it stand in `appraisal`. */
export * from './snp/index.ts'
export * from './dcap/index.ts'
export * from './tdx/index.ts'
export * from './sgx/index.ts'
export * from './azure-vtpm/index.ts'
export * from './gce-vtpm/index.ts'
export type { VerifiedVtpm, VtpmEvidence, VtpmExpectation } from './vtpm-quote.ts'
