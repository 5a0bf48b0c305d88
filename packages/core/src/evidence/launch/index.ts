export { type FirmwareImage, type FirmwareSection, parseFirmwareImage } from './firmware-image.ts'
export type { DirectBoot } from './kernel-hashes.ts'
export { SNP_CPU_MODELS, type SnpCpuModel, type SnpLaunch, snpLaunchDigest } from './snp-launch-digest.ts'
