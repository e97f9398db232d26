"""What an installation is made with: the Dockerfile, the files in deploy/, and docs/deploy.md."""
