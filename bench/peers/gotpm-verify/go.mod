module vouchsafe/bench/gotpm-verify

go 1.26

require github.com/google/go-tpm-tools v0.4.11 // indirect
