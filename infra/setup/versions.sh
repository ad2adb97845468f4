# What the set-up pins that no lock file can. Sourced by the other scripts.
UV_VERSION=0.13.9
MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
GO_MINIMUM=1.24                 # MinIO's go.mod asks for it
GO_TOOLCHAIN=v0.0.1-go1.26.8.linux-amd64
GO_TOOLCHAIN_SUM=h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=
JAVA_MINIMUM=17
MAVEN_DEPENDENCY_PLUGIN=3.8.1
PYTHON_RANGE='>=3.11,<3.13'
