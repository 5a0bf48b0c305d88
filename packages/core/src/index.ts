export { ERROR_CODES, VouchsafeError, type ErrorCode } from './base/errors.ts'
export type { Brand } from './base/brand.ts'
export type { CryptoPort, HashName, PublicKey, SignatureScheme } from './base/crypto.ts'
export { assertVerified, type Verified } from './evidence/verified.ts'
export { Secret } from './base/secret.ts'
export { digestOf, parseDigest, type Digest } from './base/digest.ts'
export {
  concat,
  fromBase64,
  fromBase64Url,
  fromHex,
  fromUtf8,
  toBase64,
  toBase64Url,
  toHex,
  utf8,
} from './base/encoding.ts'
export { parseStrictJson, type Json, type JsonLimits } from './base/strict-json.ts'
export { transcript } from './base/transcript.ts'
export {
  EMPTY_FRONTIER,
  ENTRY_KINDS,
  LEDGER_PROBLEMS,
  PROFILES,
  appendLeaf,
  assembleProof,
  checkLedger,
  encodeEntry,
  formatCheckpoint,
  formatExportedEntry,
  formatLogKey,
  formatReceipt,
  frontierNodes,
  lastLeafOf,
  leafHash,
  logKeyOf,
  logOrigin,
  parseCheckpoint,
  parseEntry,
  parseExportedEntry,
  parseGenesis,
  parseLogKey,
  parseReceipt,
  planConsistency,
  planInclusion,
  rootOf,
  verifyCheckpoint,
  verifyConsistency,
  verifyInclusion,
  verifyReceipt,
} from './ledger/index.ts'
export type {
  Appended,
  Checkpoint,
  CheckpointSigner,
  Entry,
  EntryContent,
  EntryKind,
  ExportedEntry,
  Frontier,
  Genesis,
  Hasher,
  LedgerCheck,
  LedgerProblem,
  LogKey,
  NodeRef,
  Profile,
  Proof,
  ProofPlan,
  Receipt,
  SignedCheckpoint,
  VerifiedCheckpoint,
} from './ledger/index.ts'
