export { haveVectors, missingVectors, readVector, readVectorText, vectorsRoot } from './vectors.ts'
