@echo off
rem Install the course from this folder, without network: install.bat [FOLDER]
for %%v in (3.14 3.13 3.12 3.11) do (
    py -%%v "%~dp0install.py" --fits 2>nul
    if not errorlevel 1 (
        py -%%v "%~dp0install.py" %*
        exit /b
    )
)
python "%~dp0install.py" %*
