# docker buildx bake --file hack/images/docker-bake.hcl              all images for both architectures
# REGISTRY=registry.example.org/evio TAG=0.1.0 docker buildx bake --file hack/images/docker-bake.hcl --push

variable "REGISTRY" { default = "localhost/evio" }
variable "TAG" { default = "0.1.0" }

group "default" { targets = ["image"] }

target "image" {
  name       = image
  matrix     = { image = ["agent", "dataplane", "host", "operator", "server"] }
  dockerfile = "hack/images/evio.Dockerfile"
  target     = image
  platforms  = ["linux/amd64", "linux/arm64"]
  tags       = ["${REGISTRY}/${image}:${TAG}"]
  labels     = { "org.opencontainers.image.version" = TAG }
}
