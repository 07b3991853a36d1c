# `docker buildx bake` builds the image for this machine; `docker buildx bake image --push` for every architecture.

variable "REGISTRY" {
  default = "ghcr.io/llmleaf"
}

variable "VERSION" {
  default = "0.1.0"
}

# The commit, and the time it was made in RFC 3339: given by the release job, so that two builds of one commit agree.
variable "REVISION" {
  default = "unknown"
}

variable "CREATED" {
  default = ""
}

group "default" {
  targets = ["local"]
}

target "base" {
  context    = "."
  dockerfile = "Dockerfile"
  args = {
    VERSION  = VERSION
    REVISION = REVISION
    CREATED  = CREATED
  }
}

target "image" {
  inherits  = ["base"]
  platforms = ["linux/amd64", "linux/arm64"]
  tags      = ["${REGISTRY}/llmleaf:${VERSION}"]
  attest = [
    "type=provenance,mode=max",
    "type=sbom",
  ]
}

target "local" {
  inherits = ["base"]
  tags     = ["llmleaf:local"]
  output   = ["type=docker"]
}
