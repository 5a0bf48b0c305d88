export { listContents, type ListedContents } from './list-contents.ts'
export { type Sbom, type SbomFormat, type SbomSubject, writeSbom } from './write-sbom.ts'
