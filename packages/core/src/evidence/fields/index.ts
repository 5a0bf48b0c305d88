export type { EvidenceField } from './field.ts'
export { evidenceFields, type EvidencePart } from './evidence-fields.ts'
