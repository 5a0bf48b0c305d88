export { type ClientKeyKind, LocalTpm } from './local-tpm.ts'
export { openSealed, sealSecret } from './sealed-secret.ts'
export { type Choices, type SecretEntry, newTerms, readSecretsFile } from './new-terms.ts'
