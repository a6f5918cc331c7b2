"""The corpus that ``srcid demo`` indexes: media that a machine installs or draws by itself."""
