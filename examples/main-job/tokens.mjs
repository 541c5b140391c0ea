// Counts the tokens of a source text: JavaScript with acorn's parser; TypeScript, and what acorn refuses, with TypeScript's scanner.

import { parse, tokTypes } from 'acorn';
import ts from 'typescript';

/**
 * @param {string} text
 * @param {boolean} isTypeScript
 * @returns {number}
 */
export function countTokens(text, isTypeScript) {
  if (isTypeScript) return scan(text);
  return parseAs('module', text) ?? parseAs('script', text) ?? scan(text);
}

/** Undefined for a text that is not of this kind. */
function parseAs(sourceType, text) {
  let tokens = 0;
  try {
    parse(text, {
      ecmaVersion: 'latest',
      sourceType,
      allowHashBang: true,
      allowReturnOutsideFunction: sourceType === 'script',
      onToken({ type }) {
        if (type !== tokTypes.eof) tokens++;
      },
    });
    return tokens;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const { SyntaxKind } = ts;

/** After one of these a slash divides; after anything else it begins a regular expression. */
const OPERAND_ENDS = new Set([
  SyntaxKind.Identifier,
  SyntaxKind.PrivateIdentifier,
  SyntaxKind.NumericLiteral,
  SyntaxKind.BigIntLiteral,
  SyntaxKind.StringLiteral,
  SyntaxKind.RegularExpressionLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral,
  SyntaxKind.TemplateTail,
  SyntaxKind.CloseParenToken,
  SyntaxKind.CloseBracketToken,
  SyntaxKind.CloseBraceToken,
  SyntaxKind.PlusPlusToken,
  SyntaxKind.MinusMinusToken,
  SyntaxKind.ThisKeyword,
  SyntaxKind.SuperKeyword,
  SyntaxKind.TrueKeyword,
  SyntaxKind.FalseKeyword,
  SyntaxKind.NullKeyword,
]);

/** The scanner alone does not know where a template goes on, nor what a slash means: that depends on what came before. */
function scan(text) {
  const scanner = ts.createScanner(ts.ScriptTarget.Latest, true, ts.LanguageVariant.Standard, text);
  /** For each template that is open, how many braces are open in its current substitution. */
  const templates = [];
  let tokens = 0;
  let previous = SyntaxKind.Unknown;
  for (;;) {
    let token = scanner.scan();
    if (token === SyntaxKind.EndOfFileToken) return tokens;
    if (
      (token === SyntaxKind.SlashToken || token === SyntaxKind.SlashEqualsToken) &&
      !OPERAND_ENDS.has(previous)
    ) {
      token = scanner.reScanSlashToken();
    } else if (token === SyntaxKind.TemplateHead) {
      templates.push(0);
    } else if (token === SyntaxKind.OpenBraceToken && templates.length > 0) {
      templates[templates.length - 1]++;
    } else if (token === SyntaxKind.CloseBraceToken && templates.length > 0) {
      if (templates.at(-1) > 0) templates[templates.length - 1]--;
      else {
        token = scanner.reScanTemplateToken(false);
        if (token === SyntaxKind.TemplateTail) templates.pop();
      }
    }
    tokens++;
    previous = token;
  }
}
