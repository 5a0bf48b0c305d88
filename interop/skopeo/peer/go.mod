module vouchsafe.example/interop/skopeo

go 1.26

require github.com/containers/skopeo v1.13.3
